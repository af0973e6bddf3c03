// One program of many mutants: each function that has some asks which of them
// is tried, and calls itself as that one has it. So the tests are built once, and
// not anew for each mutant.

package main

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// asking is the file that each changed package gets besides.
const asking = `package %s

import (
	"os"
	"strconv"
)

var mutantTried, _ = strconv.Atoi(os.Getenv("` + triedMutant + `"))
`

// triedMutant is the environment variable that holds the number of the mutant.
const triedMutant = "CUTOVER_MUTANT"

// A union is a file that holds all its mutants.
type union struct {
	pkg    string
	text   bytes.Buffer
	owners []int // the number of the mutant that each line belongs to; 0: none
}

func (u *union) write(owner int, text string) {
	u.text.WriteString(text)
	for range strings.Count(text, "\n") {
		u.owners = append(u.owners, owner)
	}
}

// together returns a file with all its mutants, but those that have to be tried
// alone and those that are left out.
func together(file string, text []byte, mutants []mutant, left map[int]bool) (*union, error) {
	fset := token.NewFileSet()
	parsed, err := parser.ParseFile(fset, file, text, parser.SkipObjectResolution)
	if err != nil {
		return nil, fmt.Errorf("parsing %s: %w", file, err)
	}
	u, copies, at := &union{pkg: parsed.Name.Name}, &union{}, 0
	for _, d := range parsed.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok {
			continue
		}
		c := choice{f, text, fset.File(f.Pos())}
		of := c.mutants(mutants, left)
		if len(of) == 0 {
			continue
		}
		u.write(0, string(text[at:of[0].from])+c.chooses(of)+c.renamed(text, 0))
		at = of[0].to
		for _, m := range of {
			copies.write(m.number, "\n"+c.renamed(m.text, m.number)+"\n")
		}
	}
	u.write(0, string(text[at:])+"\n")
	u.text.Write(copies.text.Bytes())
	u.owners = append(u.owners, copies.owners...)
	return u, nil
}

// together reports whether the mutant can be in one program with others.
func (m mutant) together() bool { return m.to > 0 }

// A choice is a function that there are mutants of.
type choice struct {
	*ast.FuncDecl
	text   []byte
	tokens *token.File
}

func (c choice) offset(p token.Pos) int { return c.tokens.Offset(p) }

func (c choice) source(n ast.Node) string { return string(c.text[c.offset(n.Pos()):c.offset(n.End())]) }

// mutants returns those of this function that are tried.
func (c choice) mutants(all []mutant, left map[int]bool) (of []mutant) {
	for _, m := range all {
		if m.together() && m.from == c.offset(c.Pos()) && !left[m.number] {
			of = append(of, m)
		}
	}
	return of
}

// renamed returns the function as a text of the whole file has it, under the name
// that it has for a number.
func (c choice) renamed(text []byte, number int) string {
	end := c.offset(c.End()) + len(text) - len(c.text)
	return string(c.text[c.offset(c.Pos()):c.offset(c.Name.Pos())]) + c.named(number) + string(text[c.offset(c.Name.End()):end])
}

func (c choice) named(number int) string { return c.Name.Name + "__" + strconv.Itoa(number) }

// chooses returns the function that calls the one that is tried.
func (c choice) chooses(mutants []mutant) string {
	self, on := "", ""
	if c.Recv != nil {
		self, on = "(self "+c.source(c.Recv.List[0].Type)+") ", "self."
	}
	results, returns, leaves := "", "", "; return"
	if c.Type.Results != nil {
		results, returns, leaves = " "+c.source(c.Type.Results), "return ", ""
	}
	parameters, arguments := c.parameters()
	var b strings.Builder
	fmt.Fprintf(&b, "func %s%s(%s)%s {\n\tswitch mutantTried {\n", self, c.Name.Name, parameters, results)
	for _, m := range mutants {
		fmt.Fprintf(&b, "\tcase %d: %s%s%s(%s)%s\n", m.number, returns, on, c.named(m.number), arguments, leaves)
	}
	fmt.Fprintf(&b, "\t}\n\t%s%s%s(%s)\n}\n\n", returns, on, c.named(0), arguments)
	return b.String()
}

// parameters returns the function's parameters, each with a name, and what it is
// called with to pass them on.
func (c choice) parameters() (declared, passed string) {
	n := 0
	for _, field := range c.Type.Params.List {
		all := ", "
		if _, many := field.Type.(*ast.Ellipsis); many {
			all = "..., "
		}
		for range max(1, len(field.Names)) {
			declared += fmt.Sprintf("p%d %s, ", n, c.source(field.Type))
			passed += fmt.Sprintf("p%d", n) + all
			n++
		}
	}
	return declared, passed
}

var compilers = regexp.MustCompile(`(?m)^(?:\./)?(\S+\.go):(\d+):\d+: `)

// blamed returns the numbers of the mutants that a compiler complains about: none,
// if it complains about anything else.
func blamed(out []byte, unions map[string]*union) []int {
	var numbers []int
	for _, said := range compilers.FindAllSubmatch(out, -1) {
		u := unions[filepath.Clean(string(said[1]))]
		line, err := strconv.Atoi(string(said[2]))
		if u == nil || err != nil || line > len(u.owners) || u.owners[line-1] == 0 {
			return nil
		}
		numbers = append(numbers, u.owners[line-1])
	}
	slices.Sort(numbers)
	return slices.Compact(numbers)
}
