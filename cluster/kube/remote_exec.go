package kube

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"

	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/util/exec"
	"k8s.io/streaming/pkg/httpstream"

	"ainexus.io/cluster/kube/v1alpha1"
	"ainexus.io/nexus"
)

// verbBeside is the launcher's verb that finds the worker of a rank in its own pod and runs a command beside it:
// beside RANK TERM COMMAND...
const verbBeside = "beside"

// Command is one to be run beside a worker.
type Command struct {
	Rank           int
	Argv           []string
	Stdin          io.Reader // nil: there is none
	Stdout, Stderr io.Writer
	// Term is the kind of terminal: TERM. Sizes are what it measures, now and whenever that changes; nil: there is no terminal.
	// With one, what the command writes to stderr comes on Stdout.
	Term  string
	Sizes <-chan Size
}

// Size is that of a terminal, in characters.
type Size struct{ Columns, Rows uint16 }

// Exec runs a command beside a worker, through the API server: in the worker's pod, where the program that launched it
// finds it and lends its environment. It gives the command's exit code. Where the images of a cluster run without
// the launcher a pod is one worker, and the command has the environment of its container.
func (c *Client) Exec(ctx context.Context, ref string, cmd Command) (code int, err error) {
	ctx = silent(ctx)
	o, err := c.one(ctx, ref)
	if err != nil {
		return 0, err
	}
	pod, err := c.podOf(ctx, o, cmd.Rank)
	if err != nil {
		return 0, err
	}
	argv := cmd.Argv
	if launched(pod) {
		argv = append([]string{launcherPath, verbBeside, strconv.Itoa(cmd.Rank), cmd.Term}, argv...)
	}
	tty := cmd.Sizes != nil
	request := c.clients.core.Get().Namespace(pod.Namespace).Resource(resourcePods).Name(pod.Name).SubResource("exec").
		Param("container", containerMain).Param("stdin", strconv.FormatBool(cmd.Stdin != nil)).Param("stdout", "true").
		Param("stderr", strconv.FormatBool(!tty)).Param("tty", strconv.FormatBool(tty))
	for _, word := range argv {
		request = request.Param("command", word)
	}
	executor, err := remotecommand.NewWebSocketExecutor(c.config, http.MethodGet, request.URL().String())
	if err != nil {
		return 0, fmt.Errorf("preparing to exec: %w", err)
	}
	options := remotecommand.StreamOptions{Stdin: cmd.Stdin, Stdout: cmd.Stdout, Tty: tty}
	if tty {
		options.TerminalSizeQueue = sizes(cmd.Sizes)
	} else {
		options.Stderr = cmd.Stderr
	}
	err = executor.StreamWithContext(ctx, options)
	var ended exec.CodeExitError
	switch {
	case err == nil:
		return 0, nil
	case errors.As(err, &ended):
		return ended.Code, nil
	case httpstream.IsUpgradeFailure(err):
		return 0, c.refusedUpgrade(ctx, pod, err)
	case ctx.Err() != nil:
		return 0, ctx.Err()
	}
	return 0, &nexus.Error{Code: nexus.CodeUnavailable, Message: "the command in pod " + pod.Name + " cannot be followed: " + err.Error(),
		Hint: "nexus ps tells whether the job still runs"}
}

// sizes hands on what a terminal's size becomes.
type sizes <-chan Size

func (s sizes) Next() *remotecommand.TerminalSize {
	size, ok := <-s
	if !ok {
		return nil
	}
	return &remotecommand.TerminalSize{Width: size.Columns, Height: size.Rows}
}

// refusedUpgrade asks again without an upgrade, since an answer to one that fails does not come with its reason. What is
// missing of a right says the API server then.
func (c *Client) refusedUpgrade(ctx context.Context, pod *corev1.Pod, upgrade error) error {
	err := c.clients.core.Get().Namespace(pod.Namespace).Resource(resourcePods).Name(pod.Name).SubResource("exec").
		Param("container", containerMain).Param("stdout", "true").Param("command", "true").Timeout(requestPatience).Do(ctx).Error()
	if problem := (*nexus.Error)(nil); errors.As(c.problem(err), &problem) && problem.Code == nexus.CodeDenied {
		return problem
	}
	return &nexus.Error{Code: nexus.CodeUnavailable, Message: c.where + " does not open a way to pod " + pod.Name + ": " + upgrade.Error(),
		Hint: "nexus exec needs WebSockets all the way to the pod: Kubernetes 1.30, and proxies that let them pass"}
}

// podOf is the pod of a rank in a job's living attempt.
func (c *Client) podOf(ctx context.Context, o *v1alpha1.NexusJob, rank int) (*corev1.Pod, error) {
	refuse := func(code nexus.Code, hint, format string, args ...any) (*corev1.Pod, error) {
		return nil, &nexus.Error{Code: code, Message: fmt.Sprintf("job %s ", o.Name) + fmt.Sprintf(format, args...), Hint: hint}
	}
	seats := o.Status.Seats
	switch phase := nexus.Phase(o.Status.Phase); {
	case phase.Over():
		return refuse(nexus.CodeConflict, "nexus logs "+o.Name+" shows what it said", "is over: %s", phase)
	case !phase.Live() || len(seats) == 0:
		return refuse(nexus.CodeConflict, "nexus why "+o.Name+" says why", "does not run: it waits")
	}
	workers := max(1, seats[0].Workers)
	if last := len(seats)*workers - 1; rank > last {
		return refuse(nexus.CodeNotFound, fmt.Sprintf("--rank takes 0 to %d", last), "has no rank %d", rank)
	}
	var list corev1.PodList
	selector := fmt.Sprintf("%s=%s,%s=%d,%s=%d", LabelJob, o.UID, LabelAttempt, o.Status.Attempt, labelIndex, rank/workers)
	if err := c.clients.core.Get().Namespace(o.Namespace).Resource(resourcePods).Param("labelSelector", selector).Timeout(requestPatience).Do(ctx).Into(&list); err != nil {
		return nil, c.problem(err)
	}
	slices.SortFunc(list.Items, func(a, b corev1.Pod) int { return cmp.Compare(a.Name, b.Name) })
	for i := range list.Items {
		if runs(&list.Items[i]) {
			return &list.Items[i], nil
		}
	}
	return refuse(nexus.CodeConflict, "try again when nexus ps says that it is Running", "has no pod of rank %d that runs: it is %s", rank, o.Status.Phase)
}

// runs reports whether the main container of a pod does.
func runs(pod *corev1.Pod) bool {
	return slices.ContainsFunc(pod.Status.ContainerStatuses, func(s corev1.ContainerStatus) bool {
		return s.Name == containerMain && s.State.Running != nil
	})
}
