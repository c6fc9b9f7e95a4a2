# SPDX-License-Identifier: Apache-2.0
# The commands that people type. Each installs what it needs first.

BUILD := build
KERNELS := 6.1 6.12 7
PYTEST_ARGS ?=

.PHONY: all setup user modules demo check check-fast check-attacks check-debug check-xen check-debug-classes check-fresh bench check-fuzz check-tsan check-vm check-classes check-faults fuzz soak lint format clean

all: user modules

setup:
	@lab/setup

# User space: daemon, mirror, tools, their unit tests.
user: setup
	@test -f $(BUILD)/build.ninja || meson setup $(BUILD) --werror
	@meson compile -C $(BUILD)

# paradice.ko for every guest kernel, and the lab's test driver for every host kernel.
modules: setup
	@for k in $(KERNELS); do lab/build-module $$k kernel || exit 1; done
	@for k in 6.1 7; do lab/build-module $$k lab/testdev && lab/build-module $$k lab/svmfix || exit 1; done

demo: user
	@lab/build-module 6.1 kernel
	@lab/build-module 7 lab/svmfix
	@lab/demo

# What continuous integration runs for each change. The fuzzers have a fixed time and one processor; lint has another.
# Not in it, since they take longer or need more: check-classes, check-faults, soak, check-attacks in VMs, check-tsan,
# check-debug, check-debug-classes, check-xen, check-fresh, bench.
check:
	@$(MAKE) --no-print-directory -j2 --output-sync lint check-fuzz
	@$(MAKE) --no-print-directory check-fast check-vm

# What needs no VM.
check-fast: user
	@meson test -C $(BUILD) --print-errorlogs

# The fuzzers go on from what they learnt before. SECONDS: how long.
fuzz: SECONDS ?= 600
fuzz: setup
	@tests/fuzz/run $(SECONDS)

check-fuzz: setup
	@tests/fuzz/run 120

# The daemon's threads under the thread sanitizer.
check-tsan: setup
	@tests/tsan/run

# In VMs, as many tests at once as there are processors; each boots VMs of its own.
check-vm: user modules
	@/usr/bin/python3 -m pytest tests/vm -m "not attacks and not debug and not xen" -n auto --maxprocesses 4 --dist loadgroup \
		$(PYTEST_ARGS)

# The same on Xen, in PV and PVH guests, and what only Xen has.
check-xen: user modules
	@/usr/bin/python3 -m pytest tests/vm/test_xen.py -n auto --maxprocesses 4 --dist loadgroup $(PYTEST_ARGS)
	@tests/classes/run --xen-guest pvh --patience 4 camera sound input

# The programs that people use, class by class, on the host and in a guest. CLASSES_ARGS: see --help.
check-classes: user modules
	@tests/classes/run $(CLASSES_ARGS)

# What a hostile guest, a worker that it has taken over, or a hostile host tries; attacks on the host once
# more without their defence.
check-attacks: user modules
	@meson test -C $(BUILD) --print-errorlogs attacks 'daemon malformed' 'daemon end'
	@/usr/bin/python3 -m pytest tests/vm/test_host_limits.py tests/vm/test_failures.py tests/vm/test_hostile.py \
		-m "not debug" -n auto --maxprocesses 4 $(PYTEST_ARGS)

# The same and the test device's programs in a guest whose kernel looks for mistakes; the first time it is
# built, which takes long.
check-debug: user modules
	@lab/setup --kernel
	@lab/build-module debug kernel
	@/usr/bin/python3 -m pytest tests/vm/test_battery.py tests/vm/test_hostile.py -m debug \
		-n auto --maxprocesses 4 --dist loadgroup $(PYTEST_ARGS)

# The programs that people use, in such a guest.
check-debug-classes: user modules
	@lab/setup --kernel
	@lab/build-module debug kernel
	@tests/classes/run --guest-kernel debug --patience 4 $(CLASSES_ARGS)

# The classes' programs in two guests while processes are killed, devices go and memory is short; some hours
# under emulation. FAULTS: how many.
FAULTS ?= 100
check-faults: user modules
	@tests/load/run --faults $(FAULTS) $(LOAD_ARGS)

# The same programs without that: afterwards nothing may be held that was not held before.
soak: SECONDS ?= 3600
soak: user modules
	@tests/load/run --seconds $(SECONDS) $(LOAD_ARGS)

# What operations cost beside peers: a table, build/bench/report.json and report.html.
bench: user modules
	@lab/setup --bench
	@tests/bench/run $(BENCH_ARGS)

# Both commands inside a newly made Debian 12 tree.
check-fresh: setup
	@lab/check-fresh

lint: user
	@lab/lint

format:
	@git ls-files '*.c' '*.h' | xargs -r clang-format -i

clean:
	@rm -rf $(BUILD)
