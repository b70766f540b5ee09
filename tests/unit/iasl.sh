#!/bin/sh
# iasl takes all our ACPI tables apart without an error, and compiles its own listing of the DSDT
# again without an error or a warning. $1 is dump_acpi. 77: iasl (acpica-tools) is not here.
set -eu

command -v iasl >/dev/null || {
    echo "skipped: iasl is not installed (package acpica-tools)"
    exit 77
}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# What iasl has to say against a table, in its messages and in its listing; not in the raw bytes at
# the listing's end.
complaints() {
    grep -iE 'error|warning|\*\*\*|invalid|unknown|could not|should be' "$1" |
        grep -vE '^ +[0-9A-F]+: [0-9A-F]{2} '
}

failed=0
for machine in 1 2 256 1024 1-pci 1024-pci; do
    cpus=${machine%-pci}
    tables='rsdt xsdt facp apic dsdt'
    dir=$work/$machine
    mkdir "$dir"
    if [ "$cpus" = "$machine" ]; then
        "$1" "$cpus" "$dir"
    else
        "$1" "$cpus" "$dir" pci
        tables="$tables mcfg"
    fi
    for table in $tables; do
        iasl -d "$dir/$table.dat" >"$dir/$table.log" 2>&1 || {
            echo "$machine CPUs: iasl -d $table fails"
            failed=1
        }
        if complaints "$dir/$table.log" || complaints "$dir/$table.dsl"; then
            echo "$machine CPUs: iasl complains of $table"
            failed=1
        fi
    done
    iasl -vr -p "$dir/again" "$dir/dsdt.dsl" >"$dir/again.log" 2>&1 || failed=1
    grep -q '0 Errors, 0 Warnings' "$dir/again.log" || {
        echo "$machine CPUs: the DSDT does not compile again"
        tail -n 20 "$dir/again.log"
        failed=1
    }
done
exit $failed
