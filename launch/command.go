package launch

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"ainexus.io/nexus"
)

const shell = "/bin/sh"

// program is a command as the kernel takes it.
type program struct {
	path  string
	argv  []string
	shell bool // it is our own /bin/sh, and the work is done by its children
}

// resolve finds the program of a command with the job's own PATH and directory. A shell line that is one plain
// command is that program itself, so that signals reach it; anything else is for /bin/sh -ec.
func resolve(c nexus.Command, dir string, env map[string]string) (program, error) {
	argv := c.Argv
	if argv == nil {
		words, simple := plainWords(c.Shell)
		if !simple {
			return program{path: shell, argv: []string{"sh", "-ec", c.Shell}, shell: true}, nil
		}
		argv = words
	}
	if len(argv) == 0 || argv[0] == "" {
		return program{}, sentence("there is no program to run", "say what to run in `run`")
	}
	path, err := lookPath(argv[0], dir, env["PATH"])
	return program{path: path, argv: argv}, err
}

// plainWords splits a line that the shell would take for one simple command of plain words.
func plainWords(line string) (words []string, ok bool) {
	line = strings.TrimSpace(line)
	for _, r := range line {
		plain := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_-./,:=@%+ ", r)
		if !plain {
			return nil, false
		}
	}
	words = strings.Fields(line)
	if len(words) == 0 || strings.Contains(words[0], "=") || shellWord(words[0]) {
		return nil, false
	}
	return words, true
}

// shellWord reports whether the shell itself answers to a word.
func shellWord(word string) bool {
	switch word {
	case ".", ":", "alias", "bg", "break", "case", "cd", "command", "continue", "do", "done", "echo", "elif", "else", "esac",
		"eval", "exec", "exit", "export", "false", "fc", "fg", "fi", "for", "function", "getopts", "hash", "if", "in", "jobs",
		"kill", "local", "printf", "pwd", "read", "readonly", "return", "select", "set", "shift", "source", "test", "then", "time",
		"times", "trap", "true", "type", "ulimit", "umask", "unalias", "unset", "until", "wait", "while":
		return true
	}
	return false
}

// lookPath finds a program as execvp does, from the job's directory and with the job's PATH.
func lookPath(name, dir, path string) (string, error) {
	if strings.Contains(name, "/") {
		file := name
		if !filepath.IsAbs(file) {
			file = filepath.Join(dir, file)
		}
		return file, executable(file, name)
	}
	if path == "" {
		path = "/usr/local/bin:/usr/bin:/bin"
	}
	for _, place := range filepath.SplitList(path) {
		if !filepath.IsAbs(place) {
			place = filepath.Join(dir, place)
		}
		if file := filepath.Join(place, name); executable(file, name) == nil {
			return file, nil
		}
	}
	return "", sentence(fmt.Sprintf("the program %q was not found", name),
		"install it, activate its environment before submitting, or name it by its path; PATH was "+path)
}

func executable(file, name string) error {
	info, err := os.Stat(file)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return sentence(fmt.Sprintf("the program %q does not exist", name), "check the path, or build it in `setup`")
	case err != nil:
		return sentence(fmt.Sprintf("the program %q cannot be used: %v", name, err), "check its permissions")
	case info.IsDir():
		return sentence(fmt.Sprintf("%q is a directory, not a program", name), "name the program in it")
	case info.Mode()&0o111 == 0:
		return sentence(fmt.Sprintf("the program %q is not executable", name), "chmod +x it, or put its interpreter before it")
	}
	return nil
}

// checkDir says what is wrong with a working directory.
func checkDir(dir string) error {
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return sentence(fmt.Sprintf("the working directory %s does not exist (any more)", dir),
			"bring it back, or submit again from where the code is")
	case err != nil:
		return sentence(fmt.Sprintf("the working directory %s cannot be used: %v", dir, err), "check its permissions")
	case !info.IsDir():
		return sentence(fmt.Sprintf("the working directory %s is not a directory", dir), "name the directory that holds the code")
	}
	return nil
}

// explainStart turns the kernel's word on a program that did not start into ours.
func explainStart(err error, p program) error {
	name := p.argv[0]
	switch {
	case errors.Is(err, syscall.ENOEXEC):
		return sentence(fmt.Sprintf("the program %q is not for this machine, or a script without a #! line", name),
			"put its interpreter before it, or begin the script with #!")
	case errors.Is(err, syscall.ENOENT):
		return sentence(fmt.Sprintf("the program %q could not be started: the interpreter that it names does not exist", name),
			"check the script's first line")
	case errors.Is(err, syscall.E2BIG):
		return sentence("the arguments and the environment are larger than the kernel takes", "shorten them, or pass a file")
	}
	return sentence(fmt.Sprintf("the program %q could not be started: %v", name, err), "check it, and this machine's limits (ulimit -a)")
}

// sentence is a refusal with the way out.
func sentence(message, hint string) error {
	return &nexus.Error{Code: nexus.CodeInvalid, Message: message, Hint: hint}
}

// words are a refusal's message and hint in one line, for [nexus.Result].
func words(err error) string {
	var refusal *nexus.Error
	if errors.As(err, &refusal) && refusal.Hint != "" {
		return refusal.Message + " (hint: " + refusal.Hint + ")"
	}
	return err.Error()
}
