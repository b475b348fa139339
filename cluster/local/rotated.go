package local

import (
	"errors"
	"io"
	"io/fs"
	"os"

	"ainexus.io/proc"
)

// aside is the ending of the newest file of a log that was moved aside.
const aside = ".1"

// openFile is a file of a log and what it was when it was opened.
type openFile struct {
	*os.File
	info os.FileInfo
}

// openLog opens what there is of a log, the oldest file first: those that were moved aside and the one that is written. They are
// opened from the newest back, so that one which is moved meanwhile is met twice rather than missed; it is returned once.
func openLog(path string) (files []openFile, err error) {
	for n := 0; ; n++ {
		file, err := os.Open(proc.Rotated(path, n))
		if errors.Is(err, fs.ErrNotExist) && n == 0 {
			continue // between two files
		}
		if errors.Is(err, fs.ErrNotExist) {
			break
		}
		if err != nil {
			closeAll(files)
			return nil, err
		}
		info, err := file.Stat()
		if err != nil {
			file.Close()
			closeAll(files)
			return nil, err
		}
		if len(files) > 0 && os.SameFile(files[0].info, info) {
			file.Close()
			continue
		}
		files = append([]openFile{{file, info}}, files...)
	}
	return files, nil
}

func closeAll(files []openFile) {
	for _, file := range files {
		file.Close()
	}
}

// lastLines are the files that hold the last lines of a log, and where the first of these lines begins. The others are closed.
func lastLines(files []openFile, lines int) ([]openFile, int64, error) {
	wanted := lines
	for i := len(files) - 1; i >= 0; i-- {
		at, seen, err := tailOffset(files[i].File, wanted, i == len(files)-1)
		if err != nil || seen == wanted || i == 0 {
			closeAll(files[:i])
			return files[i:], at, err
		}
		wanted -= seen
	}
	return nil, 0, nil
}

// tailOffset finds where the last lines of a file begin, and how many ends of lines were seen before that; an end of line at the
// very end of the newest file ends the last line and separates nothing.
func tailOffset(file *os.File, lines int, newest bool) (offset int64, seen int, err error) {
	end, err := file.Seek(0, io.SeekEnd)
	if err != nil {
		return 0, 0, err
	}
	chunk := make([]byte, 64<<10)
	for at := end; at > 0; {
		size := min(at, int64(len(chunk)))
		at -= size
		if _, err := file.ReadAt(chunk[:size], at); err != nil && !errors.Is(err, io.EOF) {
			return 0, 0, err
		}
		for i := size - 1; i >= 0; i-- {
			if chunk[i] != '\n' || newest && at+i == end-1 {
				continue
			}
			if seen++; seen == lines {
				return at + i + 1, seen, nil
			}
		}
	}
	return 0, seen, nil
}
