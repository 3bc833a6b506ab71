# Locks with flock(1): `flock.sh PATH`. A command a line in, an answer a line out.
#
# The lock belongs to the shell's descriptor 9, as in the scripts of flock's manual, and so it
# stays when flock(1) has ended.

set -u
exec 9>>"$1"

while read -r number words; do
    case ${words#& } in
        'try exclusive') flock -n -x 9 ;;
        'try shared') flock -n -s 9 ;;
        'lock exclusive') flock -x 9 ;;
        'lock shared') flock -s 9 ;;
        'release') flock -u 9 ;;
        *) echo "unknown command $words" >&2; exit 64 ;;
    esac
    case $? in
        0) echo "$number ok" ;;
        1) echo "$number error held" ;;
        *) exit 71 ;;
    esac
done
