//go:build !goexperiment.simd || !amd64

package collective

func addFloat32(dst, a, b []byte) { add[float32](dst, a, b) }
func addFloat64(dst, a, b []byte) { add[float64](dst, a, b) }
