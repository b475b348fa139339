package plot

import (
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"io"
	"math"
	"strconv"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/fixed"
	"golang.org/x/image/vector"
)

// scale is how many pixels of a PNG are a point of the screen.
const scale = 2

// PNG writes a figure as pixels, two for each point of the screen.
func PNG(w io.Writer, f Figure) error {
	plain, err := face(goregular.TTF)
	if err != nil {
		return err
	}
	bold, err := face(gobold.TTF)
	if err != nil {
		return err
	}
	wide, high := f.size()
	p := pixels{image.NewRGBA(image.Rect(0, 0, wide*scale, high*scale)), plain, bold}
	draw.Draw(p.RGBA, p.Bounds(), image.White, image.Point{}, draw.Src)
	f.draw(p)
	return png.Encode(w, p.RGBA)
}

func face(ttf []byte) (font.Face, error) {
	parsed, err := opentype.Parse(ttf)
	if err != nil {
		return nil, fmt.Errorf("reading the font: %w", err)
	}
	return opentype.NewFace(parsed, &opentype.FaceOptions{Size: 12 * scale, DPI: 72})
}

// pixels is a canvas of pixels.
type pixels struct {
	*image.RGBA
	plain, bold font.Face
}

func (p pixels) rule(x1, y1, x2, y2 float64, colour string) {
	p.stroke([]Point{{x1, y1}, {x2, y2}}, 1, colour)
}

func (p pixels) curve(points []Point, colour string) { p.stroke(points, 1.5, colour) }

// stroke fills a box along each piece of a line. All boxes turn the same way, so that where they meet they add up.
func (p pixels) stroke(points []Point, thick float64, colour string) {
	r := vector.NewRasterizer(p.Bounds().Dx(), p.Bounds().Dy())
	half := thick * scale / 2
	for i := 1; i < len(points); i++ {
		ax, ay, bx, by := points[i-1].X*scale, points[i-1].Y*scale, points[i].X*scale, points[i].Y*scale
		length := math.Hypot(bx-ax, by-ay)
		if length == 0 {
			continue
		}
		ux, uy := (bx-ax)/length*half, (by-ay)/length*half
		ax, ay, bx, by = ax-ux/2, ay-uy/2, bx+ux/2, by+uy/2 // a little longer, so that corners close
		r.MoveTo(float32(ax-uy), float32(ay+ux))
		r.LineTo(float32(bx-uy), float32(by+ux))
		r.LineTo(float32(bx+uy), float32(by-ux))
		r.LineTo(float32(ax+uy), float32(ay-ux))
		r.ClosePath()
	}
	r.Draw(p.RGBA, p.Bounds(), image.NewUniform(rgb(colour)), image.Point{})
}

func (p pixels) write(x, y float64, at anchor, bold bool, colour, text string) {
	d := font.Drawer{Dst: p.RGBA, Src: image.NewUniform(rgb(colour)), Face: p.plain}
	if bold {
		d.Face = p.bold
	}
	long := d.MeasureString(text)
	d.Dot = fixed.P(int(x*scale), int(y*scale))
	d.Dot.X -= long * fixed.Int26_6(at) / 2
	d.DrawString(text)
}

// rgb reads "#d55e00".
func rgb(colour string) color.RGBA {
	n, _ := strconv.ParseUint(colour[1:], 16, 32) // the colours are this package's own
	return color.RGBA{uint8(n >> 16), uint8(n >> 8), uint8(n), 0xff}
}
