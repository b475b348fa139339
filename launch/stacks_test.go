package launch

import (
	"slices"
	"testing"
)

// What Python's faulthandler wrote for a rank whose loader sleeps, and for one that waits for it in backward().
const (
	sleeping = `Thread 0x00007f1c5bfff6c0 (most recent call first):
  File "/usr/lib/python3.11/threading.py", line 324 in wait
  File "/home/me/sdk/ainexus/progress.py", line 51 in _follow
  File "/usr/lib/python3.11/threading.py", line 995 in _bootstrap

Current thread 0x00007f1d1a1f9040 (most recent call first):
  File "/home/me/loader.py", line 7 in fetch
  File "/usr/lib/python3/dist-packages/torch/utils/data/dataloader.py", line 681 in __next__
  File "/home/me/train.py", line 31 in main
  File "/home/me/train.py", line 40 in <module>
`
	waiting = `Current thread 0x00007f1d1a1f9040 (most recent call first):
  File "/usr/lib/python3/dist-packages/torch/autograd/__init__.py", line 197 in backward
  File "/usr/lib/python3/dist-packages/torch/_tensor.py", line 488 in backward
  File "/home/me/train.py", line 33 in main
  File "/home/me/train.py", line 40 in <module>
`
	goroutines = `goroutine 18 [running]:
ainexus.io/train.(*Trainer).arm.func1()
	/home/me/train/step.go:104 +0x1d

goroutine 1 [sleep]:
time.Sleep(0x8bb2c97000)
	/usr/local/go/src/runtime/time.go:338 +0x165
main.load(...)
	/home/me/main.go:12
main.main()
	/home/me/main.go:20 +0x1d
`
	goWaiting = `goroutine 1 [sync.Cond.Wait]:
sync.runtime_notifyListWait(0xc00009e018, 0x0)
	/usr/local/go/src/runtime/sema.go:617 +0x159
sync.(*Cond).Wait(0xc00009e008?)
	/usr/local/go/src/sync/cond.go:71 +0x85
ainexus.io/train/collective.(*Group).wait(0xc00009e000)
	/home/me/train/collective/group.go:88 +0x4c
main.main()
	/home/me/main.go:25 +0x1d
`
)

func TestReadingStacks(t *testing.T) {
	for name, c := range map[string]struct {
		text  string
		where string
		waits bool
	}{
		"Python, busy":    {sleeping, "fetch (loader.py:7)", false},
		"Python, waiting": {waiting, "main (train.py:33)", true},
		"Go, busy":        {goroutines, "main.load (main.go:12)", false},
		"Go, waiting":     {goWaiting, "main.main (main.go:25)", true},
	} {
		s := parseStack(c.text)
		if len(s) == 0 || s.inUsersCode().String() != c.where || s.waits() != c.waits {
			t.Errorf("%s: %v, waits: %v", name, s, s.waits())
		}
	}
	if s := parseStack("Segmentation fault\n"); s != nil {
		t.Errorf("%v", s)
	}
	if lines := parseStack(sleeping).told(); lines[0] != "/home/me/loader.py:7 in fetch" || len(lines) != 4 {
		t.Errorf("%q", lines)
	}
}

func TestTheOddOneOut(t *testing.T) {
	busy, waits, silent := parseStack(sleeping), parseStack(waiting), stack(nil)
	elsewhere := slices.Clone(busy)
	elsewhere[0].line = "9"
	for name, c := range map[string]struct {
		stacks []stack
		want   int
	}{
		"one is waited for":               {[]stack{waits, waits, busy, waits}, 2},
		"of two":                          {[]stack{busy, waits}, 0},
		"who says nothing is not blamed":  {[]stack{waits, silent, waits}, -1},
		"all wait":                        {[]stack{waits, waits}, -1},
		"nobody waits, one is elsewhere":  {[]stack{busy, elsewhere, busy}, 1},
		"two that wait for each other":    {[]stack{busy, elsewhere}, -1},
		"two are busy while others wait":  {[]stack{busy, waits, elsewhere, waits}, -1},
		"nobody says anything":            {[]stack{silent, silent}, -1},
		"one that is alone is not blamed": {[]stack{busy}, -1},
	} {
		if got := oddOneOut(c.stacks); got != c.want {
			t.Errorf("%s: %d", name, got)
		}
	}
}
