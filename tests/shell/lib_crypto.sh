# For the scripts about sealing: throw-away keyrings made by the real gpg, and what belongs to them.
# Sourced after lib.sh. Must never touch the caller's own keyring: GNUPGHOME points into $SCRATCH.
#   make_keyrings     # ours: alice, locked (with a passphrase), everybody's public key
#                     # others: bob and mallory; alice has signed bob's key, not mallory's
PASS=x
export KV_CLIENT  # for functions that xargs calls
export GNUPGHOME=$SCRATCH/ours OTHERS=$SCRATCH/others
unset DISPLAY WAYLAND_DISPLAY GPG_TTY KV_RECIPIENTS KV_PASS KV_URL KV_SOCKET

end_keyrings() {
  local home
  [ "$BASHPID" = "$$" ] || return
  for home in "$GNUPGHOME" "$OTHERS"; do gpgconf --homedir "$home" --kill all 2>/dev/null; done
  cleanup
}
trap end_keyrings EXIT

# make_key HOME NAME ADDRESS PASSPHRASE
make_key() {
  gpg --homedir "$1" --batch --quiet --pinentry-mode loopback --passphrase "$4" \
    --quick-generate-key "$2 <$3>" future-default default never 2>>"$SCRATCH/gpg.log"
}
fingerprint() { gpg --with-colons --list-keys "$1" | awk -F: '/^fpr/ {print $10; exit}'; }

make_keyrings() {
  mkdir -m 700 "$GNUPGHOME" "$OTHERS"
  make_key "$GNUPGHOME" Alice alice@kv.test ''
  make_key "$GNUPGHOME" Locked locked@kv.test 'open sesame'
  make_key "$OTHERS" Bob bob@kv.test ''
  make_key "$OTHERS" Mallory mallory@kv.test ''
  gpg --homedir "$OTHERS" --export | gpg --batch --quiet --import 2>>"$SCRATCH/gpg.log"
  gpg --batch --quiet --default-key alice@kv.test --quick-lsign-key "$(fingerprint bob@kv.test)" \
    >>"$SCRATCH/gpg.log" 2>&1
  forget_passphrases
}
forget_passphrases() { gpgconf --kill gpg-agent; }
as_bob() { GNUPGHOME=$OTHERS "$@"; }
# without_terminal COMMAND...: in a session of its own; 124 after 5 s.
without_terminal() { setsid -w timeout -k 1 5 "$@" </dev/null; }
# sealed_for KEY: how many keys the stored value is sealed for.
sealed_for() {
  kv GET "$1" | gpg --batch --list-only --list-packets 2>/dev/null | grep -c '^:pubkey enc packet'
}
