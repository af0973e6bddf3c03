// A schedule: where it begins, what goes wrong, and what is run then. Its text
// is all that it takes to see it again.

package strategytest

import (
	"fmt"
	"strings"

	"github.com/cutover-dev/cutover/fake/fault"
)

// A Schedule is one way in which things can go.
type Schedule struct {
	Scenario string     // where it begins
	Speeds   Speeds     // how fast the world follows
	Faults   fault.Plan // at which call of the run what goes wrong
	Then     string     // what is run in place of a run that has died: a constant of this package
}

// String returns the schedule as a token: "upgrade F03.0@7 then next".
func (s Schedule) String() string {
	text := s.Scenario
	if s.Speeds != (Speeds{}) {
		text += " " + s.Speeds.String()
	}
	if len(s.Faults) > 0 {
		text += " " + s.Faults.String()
	}
	if s.Then != Again {
		text += " then " + s.Then
	}
	return text
}

// ParseSchedule reads a token.
func ParseSchedule(token string) (Schedule, error) {
	var s Schedule
	text, then, follows := strings.Cut(strings.TrimSpace(token), " then ")
	if follows {
		s.Then = strings.TrimSpace(then)
	}
	scenario, faults, _ := strings.Cut(strings.TrimSpace(text), " ")
	var err error
	if word, rest, _ := strings.Cut(faults, " "); strings.HasPrefix(word, "s") {
		if s.Speeds, err = parseSpeeds(word); err != nil {
			return Schedule{}, fmt.Errorf("strategytest: %q is no schedule: %w", token, err)
		}
		faults = rest
	}
	plan, err := fault.Parse(faults)
	if err != nil {
		return Schedule{}, fmt.Errorf("strategytest: %q is no schedule: want something like «upgrade F03.0@7 then next»: %w", token, err)
	}
	if scenario == "" {
		return Schedule{}, fmt.Errorf("strategytest: %q names no scenario: want something like «upgrade F03.0@7 then next»", token)
	}
	switch s.Then {
	case Again, Next, Undo, Cleanup, Nothing:
	default:
		return Schedule{}, fmt.Errorf("strategytest: %q: nothing is known that is called %q", token, s.Then)
	}
	s.Scenario, s.Faults = scenario, plan
	return s, nil
}

// describe returns what goes wrong, a line each.
func (s Schedule) describe() string {
	var b strings.Builder
	for _, e := range s.Faults {
		fmt.Fprintf(&b, "  %s\n", e.Describe())
	}
	return b.String()
}
