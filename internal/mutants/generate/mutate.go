// The mutants of one file: its syntax is walked, and each place that could be
// otherwise is, once.

package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"strings"
)

// A mutant is a file with one change.
type mutant struct {
	file       string // from the module's root
	function   string // or the constant
	line       int
	was, is    string // the lines that differ, with single spaces
	text       []byte // the whole file, changed
	from, to   int    // where its function stands in the original; 0: it has to be tried alone
	number     int    // counts from 1, over all that are tried
	equivalent bool
}

// id names a mutant by what it changes, so that it keeps its name when the lines
// above it move.
func (m mutant) id() string {
	return fmt.Sprintf("%s: %s: %s => %s", m.file, m.function, m.was, m.is)
}

// mutate returns all mutants of a file, by their place in it.
func mutate(file string, text []byte) ([]mutant, error) {
	fset := token.NewFileSet()
	parsed, err := parser.ParseFile(fset, file, text, parser.SkipObjectResolution)
	if err != nil {
		return nil, fmt.Errorf("parsing %s: %w", file, err)
	}
	w := &walk{file: file, text: text, tokens: fset.File(parsed.Pos()), seen: map[string]bool{string(text): true}}
	for _, d := range parsed.Decls {
		w.declaration(d)
	}
	return w.mutants, nil
}

// A walk is under way through one file.
type walk struct {
	file     string
	text     []byte
	tokens   *token.File
	function string     // that it is in
	from, to int        // where that stands
	above    []ast.Node // around the node that is visited, outermost first
	mutants  []mutant
	seen     map[string]bool // texts, so that no two mutants are the same
}

func (w *walk) declaration(d ast.Decl) {
	switch d := d.(type) {
	case *ast.FuncDecl:
		if d.Name.Name == "String" || d.Body == nil {
			return // what it is called is not what it does
		}
		w.function, w.from, w.to = functionName(d), w.offset(d.Pos()), w.offset(d.End())
		if d.Type.TypeParams != nil {
			w.from, w.to = 0, 0 // which is more than together can
		}
		w.inspect(d.Body)
	case *ast.GenDecl:
		w.from, w.to = 0, 0
		for _, spec := range d.Specs {
			if value, ok := spec.(*ast.ValueSpec); ok {
				w.function = value.Names[0].Name
				w.inspect(value)
			}
		}
	}
}

// functionName is "Decide", or "Guard.floor" for a method.
func functionName(d *ast.FuncDecl) string {
	if d.Recv == nil {
		return d.Name.Name
	}
	t := d.Recv.List[0].Type
	if star, ok := t.(*ast.StarExpr); ok {
		t = star.X
	}
	if name, ok := t.(*ast.Ident); ok {
		return name.Name + "." + d.Name.Name
	}
	return d.Name.Name
}

func (w *walk) inspect(root ast.Node) {
	ast.Inspect(root, func(n ast.Node) bool {
		if n == nil {
			w.above = w.above[:len(w.above)-1]
			return true
		}
		w.visit(n)
		w.above = append(w.above, n)
		return true
	})
}

// parent is the node around the one that is visited, parentheses and signs
// aside.
func (w *walk) parent() ast.Node {
	for i := len(w.above) - 1; i >= 0; i-- {
		switch w.above[i].(type) {
		case *ast.ParenExpr, *ast.UnaryExpr:
		default:
			return w.above[i]
		}
	}
	return nil
}

// An edit replaces what stands between two places.
type edit struct {
	from, to token.Pos
	with     string
}

func insert(at token.Pos, text string) edit { return edit{at, at, text} }

// change adds the mutant that some edits make, which are in order and apart.
func (w *walk) change(edits ...edit) {
	text, was, is := w.apply(edits)
	if w.seen[text] {
		return
	}
	w.seen[text] = true
	if is == "" {
		is = "(dropped)"
	}
	w.mutants = append(w.mutants, mutant{
		file: w.file, function: w.function, line: w.tokens.Line(edits[0].from), was: was, is: is, text: []byte(text),
		from: w.from, to: w.to,
	})
}

// apply returns the changed file and, on one line each, what the lines that the
// edits touch were and are.
func (w *walk) apply(edits []edit) (text, was, is string) {
	first, last := w.offset(edits[0].from), w.offset(edits[len(edits)-1].to)
	for first > 0 && w.text[first-1] != '\n' {
		first--
	}
	for last < len(w.text) && w.text[last] != '\n' {
		last++
	}
	var changed strings.Builder
	at := first
	for _, e := range edits {
		changed.Write(w.text[at:w.offset(e.from)])
		changed.WriteString(e.with)
		at = w.offset(e.to)
	}
	changed.Write(w.text[at:last])
	spaced := func(s string) string { return strings.Join(strings.Fields(s), " ") }
	return string(w.text[:first]) + changed.String() + string(w.text[last:]), spaced(string(w.text[first:last])), spaced(changed.String())
}

func (w *walk) offset(p token.Pos) int { return w.tokens.Offset(p) }
