package launch

import (
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"ainexus.io/attempt"
	"ainexus.io/nexus"
	"ainexus.io/proc"
)

// Whenever the agent dies, from its first instant on, no process is left a second later, no daemon needed; and what
// it had recorded never exceeds the budget. Every instant of a start and of a restart is worth a kill.
func TestAnAgentMayDieAtAnyInstant(t *testing.T) {
	t.Parallel()
	const kills = 24
	for range kills {
		o := order(t, 3, `setsid sleep 1000 & setsid sh -c 'sleep 1001 & wait' & [ $RANK != 1 ] || { sleep 0.02; exit 1; }; wait`)
		o.RestartsLeft = 2
		a := startAgentProcess(t, o)
		time.Sleep(time.Duration(rand.IntN(150)) * time.Millisecond)
		claimed, _ := a.dir.Agent()
		unkept := false // nobody but a daemon can clean up, if the agent dies before it has another keeper
		if keeper := claimed.Keeper; keeper > 0 && rand.IntN(4) == 0 {
			unkept = true
			syscall.Kill(keeper, syscall.SIGKILL)
			time.Sleep(time.Duration(rand.IntN(30)) * time.Millisecond)
		}
		a.Process.Kill()
		a.Wait()
		claimed, err := a.dir.Agent()
		if attempt.Missing(err) {
			// Nobody claimed it: the daemon may begin it again, so nothing may be left that could disturb.
			if !proc.Empty(a.name, "") {
				t.Fatal("an attempt that nobody claimed has processes")
			}
			continue
		}
		if !withinASecond(func() bool { return proc.Empty(a.name, claimed.Cgroup) }) && (!unkept || alive(claimed.Keeper)) {
			t.Fatalf("left after a second: %v", proc.Members(a.name, claimed.Cgroup))
		}
		if err := proc.KillAttempt(a.name, claimed.Cgroup, 5*time.Second); err != nil {
			t.Fatal(err)
		}
		rounds, err := a.dir.Rounds()
		if err == nil && (len(rounds.Rounds) > 3 || rounds.RestartsLeft != 3-len(rounds.Rounds)) {
			t.Errorf("%+v", rounds)
		}
		if result, err := a.dir.Result(); err == nil && result.Cause != nexus.CauseExit {
			t.Errorf("%+v", result)
		}
	}
}
