#!/usr/bin/env bash
# `make install` into a scratch folder: programs, library, headers, manual; `make uninstall` takes
# all of it away again. A C program builds with what pkg-config says.
. "$(dirname "$0")/lib.sh"
cd "$KV_TOP" || exit 1
if [ -n "${SAN:-}" ]; then ok "installing is for release builds # SKIP"; done_testing; fi

root=$SCRATCH/root
prefix=/opt/kv
at=$root$prefix
# The outer make's flags (job server, -n) are not for this one.
unset MAKEFLAGS MFLAGS MAKELEVEL
unlike "make run builds without a warning of make's own" "$(make -n run 2>&1)" 'warning'
passes "make install with DESTDIR and PREFIX" make install DESTDIR="$root" PREFIX=$prefix
for file in bin/kv-server bin/kv-client lib/libkvclient.a lib/libkvclient.so lib/libkvclient.so.1 \
  lib/pkgconfig/libkvclient.pc include/kv/client.h include/kv/client.hpp share/man/man1/kv-server.1 \
  share/man/man1/kv-client.1 share/bash-completion/completions/kv-client \
  share/bash-completion/completions/kv-server share/zsh/site-functions/_kv-client; do
  passes "$file is there" test -s "$at/$file"
done
is "nothing is installed outside the prefix" "$(find "$root" -type f -not -path "$at/*")" ""
is "nothing is writable for others" "$(find "$root" -perm /022 -not -type l)" ""

like "the installed server runs" "$("$at/bin/kv-server" --version)" '^kv [0-9]+\.[0-9]+'
like "the installed client runs" "$("$at/bin/kv-client" --version)" '^kv client [0-9]+\.[0-9]+'
like "the manual page is found by its name" "$(MANPATH=$at/share/man man kv-server 2>&1)" 'KV-SERVER'
pages_named() { grep -hoE '^\.BR (kv|lib|server|client)[^ ]* \([1-8]\)' "$at"/share/man/man?/* | tr -d '\\()' | sort -u; }
is "and so is each page of kv's that another one names" \
  "$(pages_named | while read -r _ name section; do ls "$at/share/man/man$section/$name.$section"; done 2>&1 >/dev/null)" ""
for library in "$at"/lib/libkvclient.so*; do
  passes "$(basename "$library") leads to a library" test -e "$library"
done
like "the library's soname" "$(readelf -d "$at/lib/libkvclient.so")" 'soname: \[libkvclient\.so\.1\]'

# --- a program of a user ---
export PKG_CONFIG_PATH=$at/lib/pkgconfig PKG_CONFIG_SYSROOT_DIR=$root
like "pkg-config knows the library" "$(pkg-config --modversion libkvclient)" '^[0-9]+\.[0-9]+\.[0-9]+$'
printf '%s\n' '#include <kv/client.h>' 'int main(void) { return 0; }' >"$SCRATCH/demo.c"
printf '%s\n' '#include <kv/client.hpp>' 'int main() { kv::client::Value v("x"); return v.is_nil(); }' >"$SCRATCH/demo.cpp"
read -ra flags < <(pkg-config --cflags --libs libkvclient)
passes "a C program builds" gcc -std=c11 -Wall -Wextra -Werror "$SCRATCH/demo.c" "${flags[@]}" -o "$SCRATCH/demo-c"
passes "a C++ program builds" g++ -std=c++20 -Wall -Wextra -Werror "$SCRATCH/demo.cpp" "${flags[@]}" -o "$SCRATCH/demo-cpp"
passes "and runs with the installed library" env LD_LIBRARY_PATH="$at/lib" "$SCRATCH/demo-cpp"

passes "make uninstall" make uninstall DESTDIR="$root" PREFIX=$prefix
is "uninstall leaves no file" "$(find "$root" -not -type d)" ""
done_testing
