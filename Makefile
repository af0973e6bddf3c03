# make test   everything that must hold: format, vet, staticcheck, all tests of
#             all modules, on simulated clusters and on a real control plane
# make quick  the same without the control plane
# make bench-switch
#             how long traffic takes to move, beside the least it could take
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

.PHONY: test quick format vet staticcheck unit controlplane e2e bench-switch

test: quick controlplane e2e
	@echo "all of it passed"

quick: format vet staticcheck unit

format:
	$(call part,gofmt,out=$$(gofmt -l .); [ -z "$$out" ] || { echo "not formatted: $$out"; exit 1; })

vet:
	$(call part,go vet,for m in $(MODULES); do go -C $$m vet ./... || exit 1; done)

staticcheck:
	$(call part,staticcheck,go -C e2e build -o ../bin/staticcheck honnef.co/go/tools/cmd/staticcheck && for m in $(MODULES); do (cd $$m && $(CURDIR)/bin/staticcheck ./...) || exit 1; done)

unit:
	@[ -n "$(RACE)" ] || echo "no C compiler here: the race detector is off"
	$(call part,tests on simulated clusters $(RACE),go test $(RACE) ./...)

controlplane:
	$(call part,control plane,go -C e2e run ./controlplane/prepare)

e2e:
	$(call part,tests on a real control plane $(RACE),go -C e2e test $(RACE) -timeout 40m -parallel 4 ./...)

# Its last line is the ratio, so nothing says how long it took.
bench-switch:
	@out=$$(go -C e2e test -timeout 10m -run '^$$' -bench '^BenchmarkSwitch$$' -benchtime 1x ./rollout 2>&1) || { echo "$$out"; exit 1; }; echo "$$out" | grep -E '^(pair|median|ratio)'
