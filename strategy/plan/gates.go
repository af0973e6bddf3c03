// Gates in a plan: they are not asked, and taken to pass.

package plan

import "github.com/cutover-dev/cutover/strategy"

// ungated is the same strategy, whose gates all pass unasked.
func ungated(s strategy.Strategy) strategy.Strategy {
	if s == nil {
		return nil // which the Runner has a word for
	}
	if b, ok := s.(strategy.Bounder); ok {
		return boundedPassing{passing{s}, b}
	}
	return passing{s}
}

type passing struct{ strategy.Strategy }

// Next takes the Gate from every Check: one without is a pass.
func (p passing) Next(in strategy.Input) strategy.Step {
	step := p.Strategy.Next(in)
	if check, ok := step.(strategy.Check); ok {
		check.Gate = nil
		return check
	}
	return step
}

// boundedPassing keeps what the strategy says of its bounds.
type boundedPassing struct {
	passing
	strategy.Bounder
}
