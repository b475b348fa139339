package launch

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"

	"ainexus.io/nexus"
)

// train is a worker that makes steps until it is told to stop, then saves and acknowledges. Words change it:
// "loader": it has a child that must live until the save; "spoil": the checkpoint is damaged; "deaf": TERM is
// ignored; "stuck=R": rank R makes no step after its second; "wait": the others make none after their sixth, as if
// they waited for it in a collective.
func train(words []string) {
	rank, _ := strconv.Atoi(os.Getenv("RANK"))
	told := make(chan os.Signal, 1)
	signal.Notify(told, syscall.SIGTERM)
	if slices.Contains(words, "deaf") {
		signal.Ignore(syscall.SIGTERM)
	}
	var loader *exec.Cmd
	if slices.Contains(words, "loader") {
		loader = exec.Command("sleep", "1000")
		loader.Start()
		go loader.Wait()
	}
	fmt.Println("training")
	for step := int64(1); ; step++ {
		last := int64(1 << 40)
		if slices.Contains(words, "stuck="+strconv.Itoa(rank)) {
			last = 2
		} else if slices.Contains(words, "wait") {
			last = 6
		}
		if step <= last {
			leave(os.Getenv("NEXUS_PROGRESS_FILE"), nexus.Progress{Rank: rank, Step: step, Time: float64(time.Now().UnixNano()) / 1e9})
		}
		select {
		case <-told:
			if rank == 0 {
				save(step, slices.Contains(words, "spoil"))
			}
			if loader != nil && !alive(loader.Process.Pid) {
				fmt.Println("the loader is gone")
				syscall.Exit(9)
			}
			fmt.Println("saved")
			syscall.Exit(0)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func leave(path string, value any) {
	data, _ := json.Marshal(value)
	os.WriteFile(path+".new", data, 0o600)
	os.Rename(path+".new", path)
}

func save(step int64, spoil bool) {
	path := filepath.Join(os.Getenv("NEXUS_CHECKPOINT_PATH"), "step.ckpt")
	os.MkdirAll(filepath.Dir(path), 0o700)
	data := []byte("parameters")
	sum := sha256.Sum256(data)
	if spoil {
		data[0]++
	}
	os.WriteFile(path, data, 0o600)
	leave(path+nexus.ManifestSuffix, nexus.Manifest{Step: step, WorldSize: 1, Files: []nexus.ManifestFile{
		{Name: "step.ckpt", Size: int64(len(data)), SHA256: hex.EncodeToString(sum[:])},
	}})
	leave(os.Getenv("NEXUS_ACK_FILE"), nexus.Ack{Attempt: os.Getenv("NEXUS_ATTEMPT"), Step: step, Path: path})
}
