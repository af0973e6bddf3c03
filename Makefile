# make test   everything that must hold: format, vet, staticcheck, all tests of
#             all modules, on simulated clusters and on a real control plane
# make quick  the same without the control plane
# make bench-switch
#             how long traffic takes to move, beside the least it could take
# make faults every fault at every call, and from every small state, for all
#             strategies and the cleanup; faults-pairs: every two of them, and two
#             clients in every order of their calls (an hour or more; goes on where it
#             was stopped)
# make mutants
#             what wrong strategies, engines, guards and cleaners die by
# make mutants-generated
#             every small change of the code that decides, and which of them no
#             test notices: some hours the first time, and then what has changed.
#             A quarter of an hour with QUICK=-quick, by the quick tests alone
#
# Needs Go and make. The control plane is built from the Go module proxy the
# first time (some minutes), and kept in the user's cache directory.

SHELL := /bin/sh
MODULES := . e2e
RACE := $(shell command -v $${CC:-cc} >/dev/null 2>&1 && echo -race)

# part NAME, COMMANDS: runs them, and says how long they took.
define part
	@echo "== $(1)"; began=$$(date +%s); { $(2); } && echo "-- $(1): $$(( $$(date +%s) - began )) s"
endef

.PHONY: test quick format vet staticcheck unit controlplane e2e bench-switch faults faults-pairs mutants mutants-generated

test: quick controlplane e2e
	@echo "all of it passed"

quick: format vet staticcheck unit

# What of the suite is run with the race detector, too: it has no goroutines but
# those of its tests, and is ten times as slow with it.
RACED := ^(TestAToken|TestASchedule)

format:
	$(call part,gofmt,out=$$(gofmt -l .); [ -z "$$out" ] || { echo "not formatted: $$out"; exit 1; })

vet:
	$(call part,go vet,for m in $(MODULES); do go -C $$m vet ./... || exit 1; done)

staticcheck:
	$(call part,staticcheck,go -C e2e build -o ../bin/staticcheck honnef.co/go/tools/cmd/staticcheck && for m in $(MODULES); do (cd $$m && $(CURDIR)/bin/staticcheck ./...) || exit 1; done)

unit:
	@[ -n "$(RACE)" ] || echo "no C compiler here: the race detector is off"
	$(call part,tests on simulated clusters $(RACE),go test $(RACE) $$(go list ./... | grep -v -e /strategytest$$ -e /ownstrategy$$))
	$(call part,the suite itself $(RACE),go test $(RACE) -run '$(RACED)' ./strategy/strategytest)
	$(call part,the suite,go test -skip '^(TestFaults|TestMutants)$$' ./strategy/strategytest ./examples/ownstrategy)

controlplane:
	$(call part,control plane,go -C e2e run ./controlplane/prepare)

e2e:
	$(call part,tests on a real control plane $(RACE),go -C e2e test $(RACE) -timeout 40m -parallel 4 ./...)

# Its last line is the ratio, so nothing says how long it took.
bench-switch:
	@out=$$(go -C e2e test -timeout 10m -run '^$$' -bench '^BenchmarkSwitch$$' -benchtime 1x ./rollout 2>&1) || { echo "$$out"; exit 1; }; echo "$$out" | grep -E '^(pair|median|ratio)'

# The last lines of these say what was counted.
faults:
	@out=$$(go test -count 1 -timeout 40m -run '^TestFaults$$' -v ./strategy/strategytest 2>&1) || { echo "$$out"; exit 1; }; echo "$$out" | sed -n 's/^ *own_test.go:[0-9]*: //p'

# The garbage collector would take a quarter of the time: there is memory.
faults-pairs:
	@out=$$(CUTOVER_PAIRS=1 GOGC=1000 go test -count 1 -timeout 120m -run '^TestPairs$$' -v ./strategy/strategytest 2>&1) || { echo "$$out"; exit 1; }; echo "$$out" | sed -n 's/^ *pairs_test.go:[0-9]*: //p'

mutants:
	@out=$$(go test -count 1 -timeout 30m -run '^TestMutants$$' -v ./strategy/strategytest 2>&1) || { echo "$$out"; exit 1; }; echo "$$out" | sed -n 's/^ *\(| .*\)/\1/p; s/^ *\(mutants: .*\)/\1/p'

mutants-generated:
	@go run ./internal/mutants/generate -survivors $(QUICK)
