package collective

import "testing"

// Whatever bytes a link brings, they are a header that writes back as it was, or none.
func FuzzParseHeader(f *testing.F) {
	buf := make([]byte, headerSize)
	header{kind: kindBroadcast, elem: elemFloat64, root: 3, seq: 9, bytes: 80}.put(buf)
	f.Add(buf)
	f.Add(make([]byte, headerSize))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) < headerSize {
			return
		}
		h, ok := parseHeader(data)
		if !ok {
			return
		}
		_ = h.String()
		h.put(buf)
		if again, ok := parseHeader(buf); !ok || again != h {
			t.Errorf("%+v became %+v", h, again)
		}
	})
}
