// The list of mutants that change nothing, with the proof of each.

package main

import (
	"fmt"
	"os"
	"regexp"
	"strings"
)

// equivalents are the entries of the list: "file: function: original line =>
// mutated line: proof".
type equivalents []string

// readEquivalents returns the entries about the files that match.
func readEquivalents(path string, match *regexp.Regexp) (equivalents, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var list equivalents
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		file, _, _ := strings.Cut(line, ": ")
		if line != "" && !strings.HasPrefix(line, "#") && match.MatchString(file) {
			list = append(list, line)
		}
	}
	return list, nil
}

// mark marks the mutants that are listed. An entry that fits none, or has no
// proof, is an error.
func (list equivalents) mark(mutants []mutant) error {
	for _, entry := range list {
		fits := false
		for i := range mutants {
			proof, ok := strings.CutPrefix(entry, mutants[i].id()+": ")
			if ok && strings.TrimSpace(proof) != "" {
				mutants[i].equivalent, fits = true, true
			}
		}
		if !fits {
			return fmt.Errorf("equivalent.txt: no mutant is as this entry says, or it has no proof: %s", entry)
		}
	}
	return nil
}
