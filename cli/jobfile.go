package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"ainexus.io/nexus"
	"ainexus.io/nexus/jobfile"
)

// maxJobFile is how much of a file is read before it is taken for something else.
const maxJobFile = jobfile.MaxSize

// fileFlags are what every command that reads a job file takes.
type fileFlags struct {
	file string
	set  []string
}

func (f *fileFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&f.file, "file", "f", "", "the job file (- is standard input)")
	cmd.Flags().StringArrayVar(&f.set, "set", nil, "change a field: --set resources.gpus=2; can be repeated")
	cmd.ValidArgsFunction = func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return []string{"yaml", "yml", "json"}, cobra.ShellCompDirectiveFilterFileExt
	}
}

// args accepts the file either as -f FILE or as the only argument.
func (f *fileFlags) args(cmd *cobra.Command, args []string) error {
	switch {
	case len(args) == 1 && f.file == "":
		f.file = args[0]
	case len(args) > 0:
		return usage(cmd, "one job file at a time")
	case f.file == "":
		return usage(cmd, "which job file?")
	}
	return nil
}

// readJob is a job file that is well formed, and where relative paths in it begin: at the file, else where we are.
type readJob struct {
	spec    nexus.Spec
	dir     string
	notices []jobfile.Notice
}

func (p *program) readJob(f fileFlags) (readJob, error) {
	dir, err := p.getwd()
	if err != nil {
		return readJob{}, &nexus.Error{Code: nexus.CodeInvalid, Message: "the current directory is gone", Hint: "cd to one that exists"}
	}
	name, in := "standard input", p.in
	if f.file != "-" {
		file, err := os.Open(f.file)
		if err != nil {
			return readJob{}, notReadable(f.file, err)
		}
		defer file.Close()
		name, in = f.file, file
		path := f.file
		if !filepath.IsAbs(path) {
			path = filepath.Join(dir, path)
		}
		dir = filepath.Dir(path)
	}
	data, err := io.ReadAll(io.LimitReader(in, maxJobFile+1))
	if err != nil {
		return readJob{}, notReadable(name, err)
	}
	spec, notices, err := jobfile.Parse(data, jobfile.Options{Name: filepath.Base(name), Set: f.set})
	if err != nil {
		return readJob{}, &exit{code: exitUsage, err: placed(name, err)}
	}
	return readJob{spec, dir, notices}, nil
}

// placed puts file, line and column before each message.
func placed(name string, err error) error {
	var list nexus.Errors
	if !errors.As(err, &list) {
		return err
	}
	out := make(nexus.Errors, len(list))
	for i, e := range list {
		moved := *e
		moved.Message = jobfile.Where(name, e)
		out[i] = &moved
	}
	return out
}

func notReadable(name string, err error) error {
	e := &nexus.Error{Code: nexus.CodeInvalid, Message: fmt.Sprintf("the job file %s cannot be read: %s", name, err)}
	var path *os.PathError
	if errors.As(err, &path) {
		e.Message = fmt.Sprintf("the job file %s cannot be read: %s", name, path.Err)
	}
	if errors.Is(err, os.ErrNotExist) {
		e.Message, e.Hint = fmt.Sprintf("there is no job file %s", name), "see examples/ for job files that work"
	}
	return e
}
