// What is changed, kind of node by kind of node.

package main

import (
	"go/ast"
	"go/token"
	"strconv"
)

func (w *walk) visit(n ast.Node) {
	switch n := n.(type) {
	case *ast.IfStmt:
		w.negate(n.Cond)
		if leaves(n.Body) {
			w.never(n.Cond)
		}
	case *ast.CaseClause:
		w.clause(n)
	case *ast.BinaryExpr:
		w.binary(n)
	case *ast.BasicLit:
		w.number(n)
	case *ast.Ident:
		if other, is := map[string]string{"true": "false", "false": "true"}[n.Name]; is {
			w.change(edit{n.Pos(), n.End(), other})
		}
	case *ast.CallExpr:
		if name, ok := n.Fun.(*ast.Ident); ok && extreme[name.Name] != "" {
			w.change(edit{name.Pos(), name.End(), extreme[name.Name]})
		}
	case *ast.BranchStmt:
		if other, is := map[token.Token]string{token.CONTINUE: "break", token.BREAK: "continue"}[n.Tok]; is {
			w.change(edit{n.Pos(), n.Pos() + token.Pos(len(n.Tok.String())), other})
		}
	case *ast.AssignStmt:
		w.assignment(n)
	case *ast.IncDecStmt:
		if _, loop := w.parent().(*ast.ForStmt); !loop {
			w.change(edit{n.Pos(), n.End(), ""})
		}
	case *ast.CompositeLit:
		w.list(n)
	}
}

var extreme = map[string]string{"max": "min", "min": "max"}

// leaves reports whether a block ends by leaving what is around it: then it is a
// rule.
func leaves(b *ast.BlockStmt) bool {
	if len(b.List) == 0 {
		return false
	}
	switch b.List[len(b.List)-1].(type) {
	case *ast.ReturnStmt, *ast.BranchStmt:
		return true
	}
	return false
}

// negate turns a condition round. A comparison for equality is left to shift.
func (w *walk) negate(cond ast.Expr) {
	switch c := cond.(type) {
	case *ast.UnaryExpr:
		if c.Op == token.NOT {
			w.change(edit{c.Pos(), c.X.Pos(), ""})
			return
		}
	case *ast.BinaryExpr:
		if c.Op != token.EQL && c.Op != token.NEQ {
			w.change(insert(c.Pos(), "!("), insert(c.End(), ")"))
		}
		return
	}
	w.change(insert(cond.Pos(), "!"))
}

// never removes a rule: its condition does not hold.
func (w *walk) never(conds ...ast.Expr) {
	var edits []edit
	for _, c := range conds {
		edits = append(edits, insert(c.Pos(), "false && ("), insert(c.End(), ")"))
	}
	w.change(edits...)
}

// clause negates each condition of a case, and removes the case.
func (w *walk) clause(c *ast.CaseClause) {
	choice, plain := w.above[len(w.above)-2].(*ast.SwitchStmt)
	if plain && choice.Tag == nil && c.List != nil {
		for _, cond := range c.List {
			w.negate(cond)
		}
		w.never(c.List...)
		return
	}
	w.change(edit{c.Pos(), c.End(), ""})
}

var shifted = map[token.Token]string{
	token.LSS: "<=", token.LEQ: "<", token.GTR: ">=", token.GEQ: ">", token.EQL: "!=", token.NEQ: "==",
}

// binary shifts the bound of a comparison. Of a conjunction or a disjunction it
// makes the other, and negates each operand.
func (w *walk) binary(b *ast.BinaryExpr) {
	if other, compares := shifted[b.Op]; compares {
		w.change(edit{b.OpPos, b.OpPos + token.Pos(len(b.Op.String())), other})
		return
	}
	if b.Op != token.LAND && b.Op != token.LOR {
		return
	}
	w.otherJunction(b)
	for _, operand := range []ast.Expr{b.X, b.Y} {
		if inner, chain := operand.(*ast.BinaryExpr); !chain || inner.Op != b.Op {
			w.negate(operand)
		}
	}
}

// otherJunction keeps what belongs together together.
func (w *walk) otherJunction(b *ast.BinaryExpr) {
	other := "&&"
	if b.Op == token.LAND {
		other = "||"
	}
	var edits []edit
	wrap := func(e ast.Expr, needed bool, inner ...edit) {
		if needed {
			inner = append(append([]edit{insert(e.Pos(), "(")}, inner...), insert(e.End(), ")"))
		}
		edits = append(edits, inner...)
	}
	wrap(b.X, junction(b.X))
	edits = append(edits, edit{b.OpPos, b.OpPos + 2, other})
	wrap(b.Y, junction(b.Y))
	inner := edits
	edits = nil
	wrap(b, len(w.above) > 0 && junction(w.above[len(w.above)-1]), inner...)
	w.change(edits...)
}

func junction(n ast.Node) bool {
	b, ok := n.(*ast.BinaryExpr)
	return ok && (b.Op == token.LAND || b.Op == token.LOR)
}

// number makes an integer in a comparison, in arithmetic or in a max or min one
// higher.
func (w *walk) number(l *ast.BasicLit) {
	n, err := strconv.Atoi(l.Value)
	if l.Kind != token.INT || err != nil {
		return
	}
	switch parent := w.parent().(type) {
	case *ast.BinaryExpr:
	case *ast.CallExpr:
		if name, ok := parent.Fun.(*ast.Ident); !ok || extreme[name.Name] == "" {
			return
		}
	default:
		return
	}
	w.change(edit{l.Pos(), l.End(), strconv.Itoa(n + 1)})
}

// assignment drops what is assigned. A call on its right side still happens.
func (w *walk) assignment(a *ast.AssignStmt) {
	if _, loop := w.parent().(*ast.ForStmt); loop || a.Tok == token.DEFINE || blank(a.Lhs) {
		return
	}
	left := "_"
	for range a.Lhs[1:] {
		left += ", _"
	}
	for _, value := range a.Rhs {
		if name, ok := value.(*ast.Ident); ok && name.Name == "nil" {
			w.change(edit{a.Pos(), a.End(), ""})
			return
		}
	}
	w.change(edit{a.Pos(), a.TokPos + token.Pos(len(a.Tok.String())), left + " ="})
}

func blank(list []ast.Expr) bool {
	for _, e := range list {
		if name, ok := e.(*ast.Ident); !ok || name.Name != "_" {
			return false
		}
	}
	return true
}

// list drops each element of a list of rules, but not of words.
func (w *walk) list(c *ast.CompositeLit) {
	array, ok := c.Type.(*ast.ArrayType)
	if !ok {
		return
	}
	if elem, ok := array.Elt.(*ast.Ident); ok && elem.Name == "string" {
		return
	}
	for i, e := range c.Elts {
		end := c.Rbrace
		if i+1 < len(c.Elts) {
			end = c.Elts[i+1].Pos()
		}
		w.change(edit{e.Pos(), end, ""})
	}
}
