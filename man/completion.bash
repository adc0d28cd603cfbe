# Completion of kv-client and kv-server for bash.
# Written by man/pages.cpp from the tables of options and commands. Do not edit.
_kv_client() {
  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} i=1 command='' words=''
  COMPREPLY=()
  case $before in
    --|--pass-file|--socket) compopt -o filenames
      mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
  esac
  while [ "$i" -lt "$COMP_CWORD" ] && [ -z "$command" ]; do
    case ${COMP_WORDS[i]} in
      --pass-file|--socket|--pass|--host|--port|--url|--user|--name|--database|--timeout|--poll|--watch|--recipient|--reencrypt|--scan) i=$((i + 1)) ;;
      -*) ;;
      *) command=${COMP_WORDS[i]} ;;
    esac
    i=$((i + 1))
  done
  if [ -z "$command" ]; then
    case $before in --pass|--host|--port|--url|--user|--name|--database|--timeout|--poll|--watch|--recipient|--reencrypt|--scan) return ;; esac
    if [[ $word == -* ]]; then words='--pass --pass-file --host --port --socket --url --user --name --database --timeout --poll --watch --json --lines -0 --raw --quiet --fail-nil --encrypt --decrypt --recipient --sign --require-sealed --require-signed --allow-moved --reencrypt --keys --bigkeys --latency --stat --scan --monitor --commands --version --help'
    else words='ACL APPEND AUTH BGREWRITEAOF BGSAVE CLIENT COMMAND CONFIG CONVERT COPY DBSIZE DEBUG DECR DECRBY DEL ECHO EXISTS EXPIRE EXPIREAT EXPIRETIME FLUSHALL FLUSHDB GET GETDEL GETEX GETRANGE GETSET HDEL HELLO HEXISTS HFIND HGET HGETALL HINCRBY HINCRBYFLOAT HKEYS HLEN HMGET HMSET HRANDFIELD HSCAN HSET HSETNX HSTRLEN HVALS INCR INCRBY INCRBYFLOAT INFO KEYS LASTSAVE LCS LINDEX LINSERT LLEN LMOVE LMPOP LOLWUT LPOP LPOPRPUSH LPOS LPUSH LPUSHX LRANGE LREM LSET LTRIM MEMORY MGET MOVE MSET MSETNX OBJECT PERSIST PEXPIRE PEXPIREAT PEXPIRETIME PING PSETEX PTTL QUIT RANDOMKEY RENAME RENAMENX RESET ROLE RPOP RPOPLPUSH RPUSH RPUSHX SAVE SCAN SELECT SET SETEX SETNX SETRANGE SHUTDOWN SLOWLOG STRLEN SUBSTR SWAPDB TIME TOUCH TTL TYPE UNLINK WAIT WAITAOF'; fi
  elif [ "$i" -eq "$COMP_CWORD" ]; then
    case ${command^^} in
      ACL) words='CAT HELP USERS WHOAMI' ;;
      CLIENT) words='GETNAME HELP ID INFO KILL LIST NO-EVICT NO-TOUCH REPLY SETINFO SETNAME' ;;
      COMMAND) words='COUNT DOCS GETKEYS GETKEYSANDFLAGS HELP INFO LIST' ;;
      CONFIG) words='GET HELP RESETSTAT SET' ;;
      DEBUG) words='DIGEST DIGEST-VALUE HELP OBJECT RELOAD SET-ACTIVE-EXPIRE SLEEP' ;;
      MEMORY) words='DOCTOR HELP MALLOC-STATS PURGE STATS USAGE' ;;
      OBJECT) words='ENCODING FREQ HELP IDLETIME REFCOUNT' ;;
      SLOWLOG) words='GET HELP LEN RESET' ;;
    esac
  fi
  case $word in
    -*) ;;
    *) word=${word^^} ;;
  esac
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}
complete -F _kv_client kv-client

_kv_server() {
  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}
  COMPREPLY=()
  case $before in
    --pass-file|--unixsocket|--pipe|--dir|--config|--load|--into) compopt -o filenames
      mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
    --fsync) mapfile -t COMPREPLY < <(compgen -W 'always everysec no' -- "$word"); return ;;
    --dump) mapfile -t COMPREPLY < <(compgen -W 'text json resp' -- "$word"); return ;;
    --pass|--port|--bind|--persist|--fsync|--keep-logs|--children|--max-clients|--login-grace|--databases|--dump|--until) return ;;
  esac
  mapfile -t COMPREPLY < <(compgen -W '--pass --pass-file --port --bind --unixsocket --pipe --dir --persist --binary --fsync --keep-logs --children --max-clients --login-grace --databases --plio-remote --config --verbose --check --repair --reseal --dump --load --until --into --json --version --help' -- "$word")
}
complete -F _kv_server kv-server
