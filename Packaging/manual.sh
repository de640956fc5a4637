#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Writes the manual page of the command to standard output: what --help says, of all its commands
# and topics.
#
# usage: manual.sh SWIFTLET
set -eu
swiftlet=$1
export COLUMNS=78

verbatim() {
  printf '.nf\n'
  sed -e 's/\\/\\e/g' -e 's/-/\\-/g' -e "s/^\([.']\)/\\\\\&\1/"
  printf '.fi\n'
}

printf '.TH SWIFTLET 1\n.SH NAME\nswiftlet \\- small, fast neural networks on ordinary CPUs\n'
printf '.SH DESCRIPTION\n'
"$swiftlet" --help | sed 1d | verbatim
for command in $("$swiftlet" --help | sed -n '/^SUBCOMMANDS/,$s/^  \([a-z][a-z-]*\) .*/\1/p'); do
  printf '.SH "swiftlet %s"\n' "$command"
  "$swiftlet" "$command" --help | verbatim
done
for topic in techniques goals data; do
  printf '.SH "swiftlet help %s"\n' "$topic"
  "$swiftlet" help "$topic" | verbatim
done
