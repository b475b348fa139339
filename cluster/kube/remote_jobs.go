package kube

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"ainexus.io/api"
	"ainexus.io/cluster/kube/code"
	"ainexus.io/cluster/kube/v1alpha1"
	"ainexus.io/nexus"
)

// What the command line leaves on a NexusJob.
const (
	// LabelTitle is the name in the job file: several NexusJobs may have it.
	LabelTitle = v1alpha1.Group + "/title"
	// AnnotationKey is the key by which a repeated submit is the same job.
	AnnotationKey = v1alpha1.Group + "/key"
)

// Submit makes a NexusJob. Its name is that of the job file with some characters behind it, so that a file can be
// submitted again. What was captured of the submitter's machine stays there: a pod has its image.
func (c *Client) Submit(ctx context.Context, s api.Submission) (nexus.Job, error) {
	ctx = silent(ctx)
	after, err := c.awaited(ctx, s.Spec.After)
	if err != nil {
		return nexus.Job{}, err
	}
	s.Spec.After = after
	o, err := c.objectOf(s)
	if err != nil {
		return nexus.Job{}, err
	}
	if s.Hold {
		o.Annotations[AnnotationHold] = c.whoami(ctx)
	}
	var parcel code.Archive
	if s.Spec.Code != "" {
		if parcel, err = packed(o, s); err != nil {
			return nexus.Job{}, err
		}
	}
	got := &v1alpha1.NexusJob{}
	err = c.clients.nexus.Post().Namespace(c.namespace).Resource(resourceJobs).Timeout(requestPatience).Body(o).Do(ctx).Into(got)
	if apierrors.IsAlreadyExists(err) && s.Key != "" {
		if there, wrong := c.clients.job(ctx, c.namespace, o.Name); wrong == nil && there.Annotations[AnnotationKey] == s.Key {
			if s.Spec.Code == "" || there.Annotations[AnnotationHold] == "" || there.Annotations[AnnotationCode] != o.Annotations[AnnotationCode] {
				return viewOf(there).Job, nil
			}
			got, err = there, nil // perhaps not all of its code is there: the upload goes on
		}
	}
	if err != nil {
		return nexus.Job{}, c.problem(err)
	}
	if s.Spec.Code != "" {
		if got, err = c.upload(ctx, got, parcel, s.Hold); err != nil {
			return nexus.Job{}, err
		}
	}
	return viewOf(got).Job, nil
}

// objectOf is the NexusJob of a submission.
func (c *Client) objectOf(s api.Submission) (*v1alpha1.NexusJob, error) {
	var wrong nexus.Errors
	spec := s.Spec
	for name, v := range spec.Env {
		if v.From != "" && !isSecret(v.From) {
			wrong = append(wrong, &nexus.Error{Code: nexus.CodeInvalid, Field: "env." + name, Message: fmt.Sprintf("env.%s: pods cannot read %s", name, v.From),
				Hint: "keep it in a Secret: from: secret:NAME/KEY"})
		}
	}
	if len(wrong) > 0 {
		slices.SortFunc(wrong, func(a, b *nexus.Error) int { return cmp.Compare(a.Field, b.Field) })
		return nil, wrong
	}
	title := spec.Name
	spec.Name = ""
	switch {
	case spec.Code != "":
		spec.Workdir = workspace
	case !filepath.IsAbs(spec.Workdir):
		spec.Workdir = "" // where the image says
	}
	o := &v1alpha1.NexusJob{
		TypeMeta:   metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion().String(), Kind: "NexusJob"},
		ObjectMeta: metav1.ObjectMeta{Namespace: c.namespace, Name: objectName(title, s.Key, room(spec.Array)), Labels: map[string]string{}, Annotations: map[string]string{}},
	}
	if title != "" {
		o.Labels[LabelTitle] = title
	}
	if s.Key != "" {
		o.Annotations[AnnotationKey] = s.Key
	}
	document, err := json.Marshal(spec)
	if err != nil {
		return nil, fmt.Errorf("writing the job file: %w", err)
	}
	if err := json.Unmarshal(document, &o.Spec); err != nil {
		return nil, fmt.Errorf("writing the job file as a NexusJob: %w", err)
	}
	return o, nil
}

// maxTitle is how much of a job's name is in that of its NexusJob, which becomes part of host names.
const maxTitle = 38

// room is how much of a title there is room for: the names of members are longer than that of their array.
func room(a nexus.Array) int {
	if indices := a.Indices(); len(indices) > 0 {
		return maxTitle - len(memberName("", indices[len(indices)-1]))
	}
	return maxTitle
}

// objectName is a name that no other submit gets, unless it has the same key, with so much of the title at most.
func objectName(title, key string, most int) string {
	base := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, strings.ToLower(title))
	base = strings.Trim(base[:min(len(base), most)], "-")
	if base == "" || base[0] < 'a' {
		base = "job-" + base
		base = strings.Trim(base[:min(len(base), most)], "-")
	}
	end := rand.Text()
	if key != "" {
		sum := sha256.Sum256([]byte(title + "\x00" + key))
		end = base32.StdEncoding.EncodeToString(sum[:])
	}
	return base + "-" + strings.ToLower(end[:6])
}

// Job returns one job.
func (c *Client) Job(ctx context.Context, ref string) (api.JobView, error) {
	o, err := c.one(ctx, ref)
	if err != nil {
		return api.JobView{}, err
	}
	return viewOf(o), nil
}

// find is the NexusJob that a reference means: the one of that name, else of those whose job file has it the newest that
// is not over, else the newest.
func (c *Client) find(ctx context.Context, ref string) (*v1alpha1.NexusJob, error) {
	ctx = silent(ctx)
	unknown := &nexus.Error{Code: nexus.CodeNotFound, Message: fmt.Sprintf("there is no job %q in namespace %s", ref, c.namespace), Hint: "nexus ps -a lists all of them"}
	if ref == "" || strings.ContainsAny(ref, "/%?#") || ref == "." || ref == ".." {
		return nil, unknown
	}
	o, err := c.clients.job(ctx, c.namespace, ref)
	if err == nil {
		return o, nil
	}
	if problem := c.problem(err); !apierrors.IsNotFound(err) || problem.(*nexus.Error).Code != nexus.CodeNotFound {
		return nil, problem
	}
	list, err := c.objects(ctx, c.namespace, LabelTitle+"="+ref)
	if e := (*nexus.Error)(nil); errors.As(err, &e) && e.Code == nexus.CodeInvalid {
		return nil, unknown // a name that no label can have
	} else if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(list, func(o v1alpha1.NexusJob) bool { return !nexus.Phase(o.Status.Phase).Over() })
	switch {
	case len(list) == 0:
		return nil, unknown
	case i < 0:
		i = 0
	}
	return &list[i], nil
}

// objects are the NexusJobs of a namespace, newest first.
func (c *Client) objects(ctx context.Context, namespace, labels string) ([]v1alpha1.NexusJob, error) {
	ctx = silent(ctx)
	var list v1alpha1.NexusJobList
	request := c.clients.nexus.Get().Namespace(namespace).Resource(resourceJobs).Timeout(requestPatience)
	if labels != "" {
		request = request.Param("labelSelector", labels)
	}
	if err := request.Do(ctx).Into(&list); err != nil {
		return nil, c.problem(err)
	}
	slices.SortFunc(list.Items, func(a, b v1alpha1.NexusJob) int {
		return cmp.Or(b.CreationTimestamp.Compare(a.CreationTimestamp.Time), cmp.Compare(b.Name, a.Name))
	})
	return list.Items, nil
}

// List returns a page of jobs, newest first.
func (c *Client) List(ctx context.Context, f api.Filter) ([]api.JobView, error) {
	list, err := c.objects(ctx, c.namespace, "")
	if f.Array != "" {
		list, err = c.whole(ctx, f.Array)
	}
	if err != nil {
		return nil, err
	}
	stand := map[string]bool{}
	for i := range list {
		stand[list[i].Labels[LabelArray]] = true
	}
	list = slices.DeleteFunc(list, func(o v1alpha1.NexusJob) bool { return !o.Spec.Array.IsZero() && stand[o.Name] }) // its members are listed
	limit := cmp.Or(f.Limit, 200)
	views, seen := []api.JobView{}, f.Before == ""
	for i := range list {
		v := viewOf(&list[i])
		if !seen {
			seen = v.ID == f.Before
			continue
		}
		if len(views) < limit && wanted(v, f) {
			views = append(views, v)
		}
	}
	return views, nil
}

func wanted(v api.JobView, f api.Filter) bool {
	return (len(f.Phases) == 0 || slices.Contains(f.Phases, v.Phase)) && (f.Queue == "" || v.Spec.Queue == f.Queue) &&
		(f.User == "" || v.User == f.User) && (f.Name == "" || v.Spec.Name == f.Name || v.ID == f.Name || v.Member != nil && (v.Member.Name == f.Name || v.Member.Array == f.Name)) && (!f.Live || !v.Phase.Over())
}

// viewOf is a NexusJob as people see it. What its controller has not said yet is left open.
func viewOf(o *v1alpha1.NexusJob) api.JobView {
	j, wrong := jobOf(o, true)
	j.ID = o.Name
	j.Spec.Name = cmp.Or(o.Labels[LabelTitle], o.Name)
	switch {
	case j.Member != nil:
		j.Member.Array = o.Labels[LabelArray]
	case isArray(&j):
		j.Member = firstMember(o, &j)
	}
	v := api.JobView{Job: j, Workdir: j.Spec.Workdir, Notices: noticesOf(&j.Spec)}
	if j.Phase != nexus.Pending {
		return v
	}
	v.Reason, v.Sentence = &nexus.Reason{Code: codeOf(o.Status.Reason)}, o.Status.Message
	if v.Sentence == "" {
		v.Sentence = "no controller has looked at it yet"
	}
	if wrong != nil {
		v.Sentence = cmp.Or(o.Status.Message, refusal(wrong))
	}
	if l := o.Status.Line; l != nil {
		v.ETA, v.Expected = l.StartsBy.Time, estimateOf(l)
		if v.Expected != nil {
			v.ETA = v.Expected.Median
		}
	}
	return v
}

// estimateOf takes back what [lineOf] does.
func estimateOf(l *v1alpha1.Line) *nexus.Estimate {
	if l.Expected == nil {
		return nil
	}
	return &nexus.Estimate{At: l.AsOf.Time, Low: l.Expected.Earliest.Time, Median: l.Expected.Likely.Time, High: l.Expected.Latest.Time}
}

// noticesOf says what of a job file has no effect on a cluster, or is not what it seems.
func noticesOf(s *nexus.Spec) []string {
	var list []string
	if len(s.PreferGPUs) > 0 {
		list = append(list, "prefer_gpus has no effect: which devices a pod gets is up to the node's device plugin")
	}
	if what := fleeting(s); what != "" {
		list = append(list, what)
	}
	return list
}

// codeOf takes back what [camel] does: UserLimit becomes user_limit.
func codeOf(word string) nexus.ReasonCode {
	var code strings.Builder
	for i, r := range word {
		if r >= 'A' && r <= 'Z' {
			if i > 0 {
				code.WriteByte('_')
			}
			r += 'a' - 'A'
		}
		code.WriteRune(r)
	}
	return nexus.ReasonCode(code.String())
}

// Forecast is refused: only the controller has the picture that it takes.
func (c *Client) Forecast(context.Context, api.Submission) (nexus.Forecast, error) {
	return nexus.Forecast{}, cannot("what would become of a job only the controller of the cluster can say", "submit it, and nexus why tells; nexus cancel takes it back")
}

// Why says what the controller wrote about a job.
func (c *Client) Why(ctx context.Context, ref string) (nexus.Why, error) {
	o, err := c.one(ctx, ref)
	if err != nil {
		return nexus.Why{}, err
	}
	v := viewOf(o)
	w := nexus.Why{Job: v.ID, Phase: v.Phase, Sentence: cmp.Or(v.Sentence, o.Status.Message)}
	if v.Reason != nil {
		w.Reason = *v.Reason
	}
	if l := o.Status.Line; l != nil && v.Phase == nexus.Pending {
		w.Position, w.Start, w.Expected, w.AsOf = l.Place, l.StartsBy.Time, estimateOf(l), l.AsOf.Time
	}
	for _, condition := range o.Status.Conditions {
		if (strings.HasPrefix(condition.Type, "Checkpoint") || condition.Type == ConditionDefaulted) && condition.Status == metav1.ConditionTrue {
			w.Notes = append(w.Notes, condition.Message)
		}
	}
	return w, nil
}

// Checkpoints is refused: they are on volumes that only pods see.
func (c *Client) Checkpoints(context.Context, string, bool) ([]nexus.Saved, error) {
	return nil, cannot("the checkpoints of a cluster's jobs are on its volumes, which only pods see", "look from a pod that mounts the volume: kubectl exec POD -- ls")
}
