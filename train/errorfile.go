package train

import (
	"encoding/json"
	"errors"
	"os"
	"strconv"
	"time"
)

// tellLauncher leaves an error where launchers look for the root cause, in torchelastic's format. There is nobody left to
// tell if that fails: the error itself is returned to the script.
func tellLauncher(env Env, err error) {
	if env.ErrorFile == "" {
		return
	}
	type extra struct {
		Stack     string `json:"py_callstack"`
		Timestamp string `json:"timestamp"`
	}
	type message struct {
		Message string `json:"message"`
		Extra   extra  `json:"extraInfo"`
	}
	m := message{Message: err.Error(), Extra: extra{Timestamp: strconv.FormatInt(time.Now().Unix(), 10)}}
	var caught *PanicError
	if errors.As(err, &caught) {
		m.Extra.Stack = caught.Stack
	}
	data, err := json.Marshal(map[string]message{"message": m})
	if err != nil {
		return
	}
	os.WriteFile(env.ErrorFile, data, 0o644)
}
