package policy_test

import (
	"encoding/csv"
	"fmt"
	"math/rand"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"ainexus.io/nexus"
	"ainexus.io/sched/policy"
)

// openb is where the public trace lies, from this package.
const openb = "../../../shared/traces/openb/"

// TestOpenb runs the protocol of the FGD study for one seed: pods arrive in random order up to 130 % of the
// cluster's devices, who does not fit is dropped, and what counts is how many thousandths of the devices
// are taken when demand has reached all of them. The orders of pods and of nodes are the published
// simulator's, draw by draw.
func TestOpenb(t *testing.T) {
	if _, err := os.Stat(openb); err != nil {
		t.Skip("NOT RUN: traces absent")
	}
	for _, c := range []struct {
		list, scorer string
		learned      bool
		least, most  float64
	}{
		{"default", policy.ByFGD, false, 94.93, 95.53},
		{"default", policy.ByBestFit, false, 92.56, 93.16},
		{"default", policy.ByWorth, false, 95.9, 97},
		{"default", policy.ByWorth, true, 95.8, 97},
		{"cpu250", policy.ByWorth, false, 94.7, 97},
		{"gpushare100", policy.ByWorth, false, 87.5, 89.11},
		{"gpuspec33", policy.ByWorth, true, 94.9, 96.34},
		{"multigpu50", policy.ByWorth, true, 97.09, 98.39},
	} {
		if got := allocated(t, c.list, c.scorer, c.learned, 42); got < c.least || got > c.most {
			t.Errorf("%s on %s, learned %v: %.2f %% allocated, want %.2f to %.2f", c.scorer, c.list, c.learned, got, c.least, c.most)
		}
	}
}

// allocated is the part of the devices that is taken when pods for all of them have arrived, in per cent.
func allocated(t *testing.T, list, scorer string, learned bool, seed int64) float64 {
	models := map[string]int{"": 0}
	sites, pods := readNodes(t, models), readPods(t, list, models)
	supply, capacity := supplyOf(sites)
	arrivals := arrange(pods, sites, capacity, seed)
	var known, sketch policy.Sketch
	for _, r := range pods {
		known.Add(r)
	}
	mix := known.Mix()
	if learned {
		mix = nil
	}
	sc, err := policy.NewScorer(scorer, seed, mix, supply)
	if err != nil {
		t.Fatal(err)
	}
	ranks := map[policy.Request]*ranking{}
	changed := make([]int, len(sites)) // when each node last changed
	arrived, taken := int64(0), int64(0)
	for now, r := range arrivals {
		if arrived += milli(&r); arrived > capacity {
			break
		}
		if sketch.Add(r); learned && sketch.Due() {
			sc, _ = policy.NewScorer(scorer, seed, sketch.Mix(), supply)
			clear(ranks)
		}
		if ranks[r] == nil {
			ranks[r] = &ranking{make([]int64, len(sites)), make([]int, len(sites)), -1}
		}
		if at, device := ranks[r].best(sc, sites, changed, &r, now); at >= 0 {
			take(&sites[at], &r, device)
			changed[at] = now
			taken += milli(&r)
		}
	}
	return float64(taken) / float64(capacity) * 100
}

// ranking keeps the scores of one request until a node changes; -1 where it does not fit.
type ranking struct {
	score  []int64
	device []int
	seen   int
}

func (k *ranking) best(sc policy.Scorer, sites []policy.Site, changed []int, r *policy.Request, now int) (at, device int) {
	at = -1
	for i := range sites {
		if changed[i] >= k.seen {
			k.device[i] = -2
			if fits(&sites[i], r) {
				k.score[i], k.device[i] = sc.Score(&sites[i], r)
			}
		}
		if k.device[i] > -2 && (at < 0 || k.score[i] > k.score[at]) {
			at = i
		}
	}
	k.seen = now
	if at < 0 {
		return -1, -1
	}
	return at, k.device[at]
}

func take(s *policy.Site, r *policy.Request, device int) {
	s.CPU, s.Memory = s.CPU-r.CPU, s.Memory-r.Memory
	if r.Share > 0 {
		s.GPUs[device].Free -= r.Share
	}
	for d, left := 0, r.GPUs; left > 0; d++ {
		if s.GPUs[d].Free == s.GPUs[d].Total {
			s.GPUs[d].Free = 0
			left--
		}
	}
}

func milli(r *policy.Request) int64 { return int64(r.GPUs)*1000 + int64(r.Share) }

// arrange gives the pods in order of arrival and sorts the nodes by the names that break ties.
func arrange(pods []policy.Request, sites []policy.Site, capacity, seed int64) []policy.Request {
	rng := rand.New(rand.NewSource(seed))
	rng.Int() // which the simulator writes to its log
	list, demand, want := slices.Clone(pods), int64(0), float64(capacity)*1.3
	rng.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	for i := range list {
		demand += milli(&list[i])
	}
	for float64(demand) > want {
		i := rng.Intn(len(list))
		demand -= milli(&list[i])
		list = slices.Delete(list, i, i+1)
	}
	for r := pods[rng.Intn(len(pods))]; float64(demand)+float64(min(1000, milli(&r))) <= want; r = pods[rng.Intn(len(pods))] {
		demand += milli(&r)
		list = append(list, r)
	}
	for i, k := range rng.Perm(len(sites)) {
		sites[i].Name = fmt.Sprintf("%04d-%s", k, sites[i].Name)
	}
	slices.SortFunc(sites, func(a, b policy.Site) int { return strings.Compare(a.Name, b.Name) })
	return list
}

func supplyOf(sites []policy.Site) (supply []policy.Supply, capacity int64) {
	for i := range sites {
		s := &sites[i]
		capacity += int64(len(s.GPUs)) * 1000
		one := policy.Supply{CPU: s.CPU, Memory: s.Memory, Model: s.Model, GPUs: len(s.GPUs), Device: 1000, Count: 1}
		k := slices.IndexFunc(supply, func(o policy.Supply) bool { o.Count = 1; return o == one })
		if k < 0 {
			supply = append(supply, one)
			continue
		}
		supply[k].Count++
	}
	return supply, capacity
}

func readNodes(t *testing.T, models map[string]int) (sites []policy.Site) {
	for _, row := range rows(t, "openb_node_list_gpu_node.csv") {
		s := site(row[0], 0)
		s.CPU, s.Memory, s.Model = nexus.CPU(number(t, row[1])), nexus.MiB(number(t, row[2])), intern(models, row[4])
		for range number(t, row[3]) {
			s.GPUs = append(s.GPUs, policy.Device{Free: 1000, Total: 1000})
		}
		s.CPUTotal, s.MemoryTotal = s.CPU, s.Memory
		sites = append(sites, s)
	}
	return sites
}

func readPods(t *testing.T, list string, models map[string]int) (pods []policy.Request) {
	table := rows(t, "openb_pod_list_"+list+".csv")
	slices.SortFunc(table, func(a, b []string) int { return strings.Compare(a[0], b[0]) })
	for _, row := range table {
		r := policy.Request{CPU: nexus.CPU(number(t, row[1])), Memory: nexus.MiB(number(t, row[2])), GPUs: int(number(t, row[3]))}
		if part := number(t, row[4]); r.GPUs == 1 && part < 1000 {
			r.GPUs, r.Share = 0, nexus.MiB(part)
		}
		if len(row) > 5 && row[5] != "" {
			for m := range strings.SplitSeq(row[5], "|") {
				r.Models |= 1 << intern(models, m)
			}
		}
		pods = append(pods, r)
	}
	return pods
}

func intern(models map[string]int, name string) int {
	if _, ok := models[name]; !ok {
		models[name] = len(models)
	}
	return models[name]
}

func rows(t *testing.T, name string) [][]string {
	file, err := os.Open(openb + name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	table, err := csv.NewReader(file).ReadAll()
	if err != nil || len(table) < 2 {
		t.Fatalf("reading %s: %v", name, err)
	}
	return table[1:]
}

func number(t *testing.T, text string) int64 {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
