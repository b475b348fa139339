package plot

import (
	"fmt"
	"html"
	"io"
	"strings"
)

// SVG writes a figure as scalable vector graphics.
func SVG(w io.Writer, f Figure) error {
	wide, high := f.size()
	var s svg
	fmt.Fprintf(&s, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">`+"\n", wide, high, wide, high)
	fmt.Fprintf(&s, `<rect width="%d" height="%d" fill="#ffffff"/>`+"\n", wide, high)
	f.draw(&s)
	s.WriteString("</svg>\n")
	_, err := io.WriteString(w, s.String())
	return err
}

// svg is a canvas that becomes text.
type svg struct{ strings.Builder }

func (s *svg) rule(x1, y1, x2, y2 float64, colour string) {
	fmt.Fprintf(s, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="%s"/>`+"\n", x1, y1, x2, y2, colour)
}

func (s *svg) curve(points []Point, colour string) {
	if len(points) == 0 {
		return
	}
	s.WriteString(`<polyline fill="none" stroke-width="1.5" stroke-linejoin="round" stroke="` + colour + `" points="`)
	for _, p := range points {
		fmt.Fprintf(s, "%.1f,%.1f ", p.X, p.Y)
	}
	s.WriteString(`"/>` + "\n")
}

func (s *svg) write(x, y float64, at anchor, bold bool, colour, text string) {
	weight := ""
	if bold {
		weight = ` font-weight="bold"`
	}
	fmt.Fprintf(s, `<text x="%.1f" y="%.1f" text-anchor="%s"%s fill="%s">%s</text>`+"\n", x, y,
		[]string{"start", "middle", "end"}[at], weight, colour, html.EscapeString(text))
}
