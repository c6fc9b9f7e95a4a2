#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# probe.sh PROBES OUTPUT COMPILER FLAGS...: writes to OUTPUT one #define PD_HAVE_NAME for every
# PROBES/NAME.c that compiles. PROBES/always.c has to: where it does not, the compiler or the
# kernel's headers are at fault, and no answer would mean anything.
set -u
probes=$1
output=$2
shift 2

if ! "$@" -fsyntax-only "$probes/always.c"; then
	echo "paradice: not even $probes/always.c compiles (above): are this kernel's headers whole?" >&2
	exit 1
fi
{
	echo "/* SPDX-License-Identifier: GPL-2.0-only */"
	echo "/* Made by compat/probe.sh; do not edit. */"
	for file in "$probes"/*.c; do
		name=$(basename "$file" .c)
		[ "$name" = always ] && continue
		if "$@" -fsyntax-only "$file" 2>/dev/null; then
			echo "#define PD_HAVE_$(echo "$name" | tr '[:lower:]' '[:upper:]') 1"
		fi
	done
} >"$output.new" && mv "$output.new" "$output"
