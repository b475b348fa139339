# Reads `go test -v` and prints what `go test` would: a line per package, and
# all that a package that failed has said. Beyond that it tells which tests were
# skipped and why, and repeats lines that begin with "NOT RUN: " or "seed: ",
# so that nothing is left out in silence and a random run can be repeated.
#
# Packages come one after the other: go test holds the output of each back
# until the package is done.

# tell prints the package at hand without the lines about tests that passed.
function tell(i) {
	for (i = 1; i <= n; i++) {
		if (block[i] ~ /^[ \t]*--- PASS: /) continue
		if (block[i] ~ /^=== / && (i == n || block[i + 1] ~ /^(===|[ \t]*--- (PASS|SKIP):) /)) continue
		print block[i]
	}
	fflush()
}

function forget() {
	n = 0
	test = ""
	split("", said)
}

# message strips what t.Log puts before a message: "    file_test.go:12: ".
function message(line) {
	sub(/^[ \t]+[^ :]+\.go:[0-9]+: /, "", line)
	return line
}

{ block[++n] = $0 }

/^=== (RUN|CONT|NAME) / { test = $3; next }
/^=== / { next }

/^[ \t]*--- SKIP: / {
	reason = said[$3]
	if (reason ~ /^NOT RUN: /) print reason " (" $3 ")"
	else print "skipped " $3 (reason == "" ? "" : ": " reason)
	next
}
/^[ \t]*--- / { next }

/^ok  \t/ { print; fflush(); forget(); next }
/\[no test files\]$/ { forget(); next }
/^FAIL\t/ {
	tell()
	forget()
	next
}

{
	said[test] = message($0)
	if (said[test] ~ /^seed: / || $0 ~ /^NOT RUN: /) {
		print said[test]
		fflush()
	}
}

END { tell() }
