#!/usr/bin/env bash
# PLIO, hash and Lisp text against the installed picolisp: what it writes we read, what we write it
# reads. The other side of each comparison is tests/fuzz/plio_tool.cpp, a filter around libkv/wire.
. "$(dirname "$0")/lib.sh"
cd "$KV_TOP" || exit 1
command -v picolisp >/dev/null || { not_ok "picolisp is installed"; done_testing; }
TOOL=$SCRATCH/plio_tool
# Built here, of a few files, so that no other suite pays for it.
if ! "${CXX:-g++}" -std=c++20 -O1 -I. tests/fuzz/plio_tool.cpp libkv/wire/plio.cpp libkv/wire/plio_number.cpp \
    libkv/wire/lisp_*.cpp libkv/base/text.cpp libkv/base/status.cpp -o "$TOOL"; then
  not_ok "the tool builds"
  done_testing
fi

lisp() { ( cd "$SCRATCH" && timeout 60 picolisp "$@" -bye </dev/null ); }

# Values of every kind, lengths around the edges of parts and chunks, seeded random ones.
cat >"$SCRATCH/make.l" <<'L'
(seed 4711)
(de nam. (N) (pack (make (do N (link (char (get '(97 48 233 8364 128512 32 34 92 94 40) (rand 1 10))))))))
(de any. (D)
   (case (rand 0 (if (=0 D) 5 7))
      (0 (rand))
      (1 (* (rand) (rand) (rand) (rand) (if (rand T) 1 -1)))
      (2 (nam. (rand 1 90)))
      (3 NIL)
      (4 T)
      (5 (intern (pack "s" (nam. (rand 1 9)))))
      (6 (make (do (rand 1 5) (link (any. (dec D))))))
      (7 (cons (any. (dec D)) (any. (dec D))))))
(setq *Values
   (append
      (list NIL T 0 1 -1 127 128 255 256 -7 1152921504606846976 -1152921504606846976 9223372036854775808
         18446744073709551616 -1000000000000000000000000000000
         "a" "1234567" "12345678" "123456789" "é" "a^Jb^Ic^M^[^A^?" "q\"b\\s^c" 'abc '*KV/x
         '("PING" NIL) '("a" . "b") '(1 2 . 3) '(NIL) '(1 (2 (3))) '(quote 1 2) ''a '(a quote . b))
      (mapcar '((N) (>> (- N) 1)) (494 495 496 503 504 511 2541 2543 4000))
      (mapcar '((N) (pack (need N "x"))) (61 62 63 64 65 316 317 318 319 320 573 574 828 829 70000))
      (make (do 400 (link (any. 3))))))
(out "values.plio" (mapc pr *Values))
(out "values.text" (mapc println *Values))
(out "values.hash" (mapc '((X) (println (hash X))) *Values))
L
lisp make.l
is "picolisp made the values" "$(wc -l <"$SCRATCH/values.hash")" 456

"$TOOL" plio-to-text <"$SCRATCH/values.plio" >"$SCRATCH/our.text"
passes "PLIO is read and printed as PicoLisp prints it" cmp "$SCRATCH/values.text" "$SCRATCH/our.text"
"$TOOL" text-to-plio <"$SCRATCH/values.text" >"$SCRATCH/our.plio"
passes "text is read and written as PicoLisp's own PLIO" cmp "$SCRATCH/values.plio" "$SCRATCH/our.plio"
"$TOOL" plio-to-hash <"$SCRATCH/values.plio" >"$SCRATCH/our.hash"
passes "every hash is PicoLisp's" cmp "$SCRATCH/values.hash" "$SCRATCH/our.hash"

# Any bytes as one string, in our text: PicoLisp must get past it and see the next value.
"$TOOL" odd-strings >"$SCRATCH/odd.text"
cat >"$SCRATCH/odd.l" <<'L'
(in "odd.text" (until (eof) (let? X (read) (println (if (lst? X) (last X) 'lost)))))
L
lisp odd.l | sort | uniq -c | sed 's/^ *//' >"$SCRATCH/odd.seen"
is "N10 PicoLisp reads past every string of ours, whatever its bytes" "$(cat "$SCRATCH/odd.seen")" "512 next"

# Valid UTF-8 without NUL means the same to both.
cat >"$SCRATCH/same.l" <<'L'
(in "values.text" (out "again.text" (while (skip) (println (read)))))
L
"$TOOL" plio-to-text <"$SCRATCH/values.plio" >"$SCRATCH/values.text"
lisp same.l
passes "our text of any value without odd bytes means the same to PicoLisp" cmp "$SCRATCH/values.text" "$SCRATCH/again.text"
done_testing
