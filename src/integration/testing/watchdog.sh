# Runs the server, stops it and removes its directory when standard input is closed: the process that started this has
# then ended, however it ended. Nothing else ends it, so that Ctrl-C or a closed terminal cannot come before that.
#   "$@"                  the server's program and arguments
#   HOWDAH_DIRECTORY      the directory to remove
#   standard output       the lock on the directory, held until this ends
#   standard error        open as long as the server runs, which is how its end is noticed
trap '' HUP INT TERM
if read -r start; then
    "$@" </dev/null 3>&2 >"$HOWDAH_DIRECTORY/log" 2>&1 &
    server=$!
    exec 2>/dev/null
    while read -r line; do :; done
    kill -QUIT "$server"
    wait "$server"
fi
rm -rf "$HOWDAH_DIRECTORY"
