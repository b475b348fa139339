package collective

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// The sums that this build uses have the bits of plain additions, whatever the numbers, lengths and borders, also in
// place. GOEXPERIMENT=simd builds other ones: make test-nightly runs this with them.
func TestSumsHaveTheBitsOfPlainAdditions(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n, skip := rapid.IntRange(0, 70).Draw(t, "n"), rapid.IntRange(0, 3).Draw(t, "skip")
		bits := rapid.SliceOfN(rapid.Uint64(), 2*n, 2*n).Draw(t, "bits")
		sameSums(t, n, skip, func(i int) float32 { return math.Float32frombits(uint32(bits[i])) },
			func(x float32) uint64 { return uint64(math.Float32bits(x)) }, addFloat32)
		sameSums(t, n, skip, func(i int) float64 { return math.Float64frombits(bits[i]) }, math.Float64bits, addFloat64)
	})
}

func sameSums[T Float](t *rapid.T, n, skip int, number func(int) T, bits func(T) uint64, sum func(dst, a, b []byte)) {
	a, b, want := make([]T, n+skip)[skip:], make([]T, n+skip)[skip:], make([]uint64, n)
	for i := range n {
		a[i], b[i] = number(i), number(n+i)
		if math.IsNaN(float64(a[i])) || math.IsNaN(float64(b[i])) { // which NaN comes out is the processor's choice
			a[i], b[i] = T(math.Inf(1)), 1
		}
		want[i] = bits(a[i] + b[i])
	}
	dst := make([]T, n+skip+1)[skip:]
	sum(bytesOf(dst[:n]), bytesOf(a), bytesOf(b))
	sum(bytesOf(a), bytesOf(a), bytesOf(b))
	for i, got := range [][]T{dst[:n], a} {
		list := make([]uint64, n)
		for k, x := range got {
			list[k] = bits(x)
			if math.IsNaN(float64(x)) { // an infinity and its opposite
				list[k] = want[k]
			}
		}
		if !slices.Equal(list, want) {
			t.Fatalf("in place %v: %x, not %x", i == 1, list, want)
		}
	}
	if dst[n] != 0 {
		t.Fatal("the sum wrote past its end")
	}
}

func BenchmarkAddFloat32(b *testing.B) {
	x, y := make([]float32, grain/4), make([]float32, grain/4)
	b.SetBytes(grain)
	for b.Loop() {
		addFloat32(bytesOf(x), bytesOf(x), bytesOf(y))
	}
}
