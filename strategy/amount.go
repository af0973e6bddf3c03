// Numbers of replicas that are written as a number or as a percentage.

package strategy

import (
	"fmt"
	"strconv"
	"strings"
)

// An Amount is a number of replicas, "2", or a percentage of those that are
// wanted, "25%", from 0 to 100. "" is what its field says.
type Amount string

// of returns the amount of n replicas, rounded up or down as Kubernetes does.
func (a Amount) of(n int, zero Amount, up bool) int {
	number, percent, _ := a.parse(zero) // unfit says what cannot be read, before anybody asks
	switch {
	case !percent:
		return number
	case up:
		return (n*number + 99) / 100
	}
	return n * number / 100
}

func (a Amount) parse(zero Amount) (number int, percent bool, err error) {
	if a == "" {
		a = zero
	}
	text, percent := strings.CutSuffix(string(a), "%")
	number, err = strconv.Atoi(text)
	if err != nil || number < 0 || strings.HasPrefix(text, "+") || percent && number > 100 {
		return 0, false, fmt.Errorf("%q is neither a number of replicas, such as \"2\", nor a percentage of at most 100, such as \"25%%\"", string(a))
	}
	return number, percent, nil
}

// unfit says which of some amounts cannot be read.
func unfitAmounts(amounts ...Amount) string {
	for _, a := range amounts {
		if _, _, err := a.parse("0"); err != nil {
			return err.Error()
		}
	}
	return ""
}
