# What failed, out of the output of a step that failed (without escape sequences): of cargo's test
# programs the tests that failed, each with the last lines of what it said, and at the end their
# names; of a program that lists no failures, and of anything else, the last lines.
#
#   awk -v most=200 -f scripts/failures.awk LOG      says at most that many lines, and the names

BEGIN { each = most < 44 ? most - 4 : 40 } # lines at most of one test or program

function say(line) {
    if (line == "" && blank) return
    blank = line == ""
    if (++said == most + 1) print "[…]"
    if (said <= most) print line
}

# Says the last of the lines that were kept, and every panic before them; forgets them all.
function say_kept(    at, first, until) {
    first = kept > each ? kept - each : 0
    for (at = 1; at <= first; at++) {
        if (lines[at] ~ / panicked at /) until = at + 4
        if (at < until) say(lines[at])
    }
    if (first > 0) say("[…]")
    while (first++ < kept) say(lines[first])
    kept = 0
}

# They are long, and say less than the panic before them.
/^stack backtrace:$/ { in_backtrace = 1 }
in_backtrace {
    in_backtrace = !/^(note: .*)?$/
    next
}

/^ *(Running|Doc-tests) / {
    program = $0
    kept = told = 0
    next
}

# Twice in a program: before what its failed tests said, and before their names.
/^failures:$/ {
    if (listing = in_failures) say_kept()
    in_failures = 1
    kept = 0
    next
}
in_failures && /^---- .* ----$/ {
    say_kept()
    if (!told++) say(program)
}
listing && /^    / { names = names " " $1 }
/^test result: / { in_failures = listing = 0 }

# Of node's tests all that failed stand at the end.
/failing tests:$/ {
    kept = 0
    each = most - 4
}

{ lines[++kept] = $0 }

# Of each program, after its output. It may have crashed, or be none of libtest.
/^error: (doc)?test failed/ {
    if (!told) {
        say(program)
        say_kept()
    }
    sub(/^[^`]*/, "")
    failed = failed "\n    " $0 names
    names = ""
}

# A signal has ended it, or it is none of libtest.
failed != "" && /^  process didn't exit successfully: / { failed = failed "\n  " $0 }

END {
    if (failed == "") say_kept()
    else print "failed:" failed
}
