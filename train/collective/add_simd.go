//go:build goexperiment.simd && amd64

package collective

import "simd/archsimd"

// With GOEXPERIMENT=simd, sums are added up eight float32 or four float64 at a time, where the processor can. Adding is
// rounded for each element by itself, so that the bits are those of add.

func addFloat32(dst, a, b []byte) {
	if !archsimd.X86.AVX() {
		add[float32](dst, a, b)
		return
	}
	d, x, y := floatsOf[float32](dst), floatsOf[float32](a), floatsOf[float32](b)
	x, y = x[:len(d)], y[:len(d)]
	for len(d) >= 16 && len(x) >= 16 && len(y) >= 16 {
		first := archsimd.LoadFloat32x8Slice(x).Add(archsimd.LoadFloat32x8Slice(y))
		second := archsimd.LoadFloat32x8Slice(x[8:]).Add(archsimd.LoadFloat32x8Slice(y[8:]))
		first.StoreSlice(d)
		second.StoreSlice(d[8:])
		d, x, y = d[16:], x[16:], y[16:]
	}
	for i := range d {
		d[i] = x[i] + y[i]
	}
}

func addFloat64(dst, a, b []byte) {
	if !archsimd.X86.AVX() {
		add[float64](dst, a, b)
		return
	}
	d, x, y := floatsOf[float64](dst), floatsOf[float64](a), floatsOf[float64](b)
	x, y = x[:len(d)], y[:len(d)]
	for len(d) >= 8 && len(x) >= 8 && len(y) >= 8 {
		first := archsimd.LoadFloat64x4Slice(x).Add(archsimd.LoadFloat64x4Slice(y))
		second := archsimd.LoadFloat64x4Slice(x[4:]).Add(archsimd.LoadFloat64x4Slice(y[4:]))
		first.StoreSlice(d)
		second.StoreSlice(d[4:])
		d, x, y = d[8:], x[8:], y[8:]
	}
	for i := range d {
		d[i] = x[i] + y[i]
	}
}
