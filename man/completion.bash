# Completion of kv-client and kv-server for bash.
# Written by man/pages.cpp from the tables of options and commands. Do not edit.
# Sets the caller's words, cword, word and before: what no blank separates is one word, and
# --option=value two. The caller's kept is what bash keeps of the last word.
_kv_words() {
  local rest=$COMP_LINE part blanks i
  words=() cword=0
  for ((i = 0; i < ${#COMP_WORDS[@]}; i++)); do
    part=${COMP_WORDS[i]} blanks=${rest%%[![:blank:]]*}
    if [ "$i" -eq 0 ] || [ -n "$blanks" ]; then words+=("$part"); else words[-1]+=$part; fi
    rest=${rest#"$blanks$part"}
    [ "$i" -ne "$COMP_CWORD" ] || cword=$((${#words[@]} - 1))
  done
  word=${words[cword]} before=${words[cword-1]}
  [[ $word != --*=* ]] || { before=${word%%=*} word=${word#*=}; }
  part=${COMP_WORDS[COMP_CWORD]}
  [[ $part == *[!:=]* ]] || part=''
  kept=${word%"$part"}
}
# Offers those of the caller's words, or files, that begin with its word.
_kv_offer() {
  mapfile -t COMPREPLY < <(compgen "$@" -- "$word")
  COMPREPLY=("${COMPREPLY[@]#"$kept"}")
}
_kv_client() {
  local words cword word before kept i=1 command='' offered=''
  COMPREPLY=()
  _kv_words
  case $before in
    --|--pass-file|--socket) compopt -o filenames; _kv_offer -f; return ;;
  esac
  while [ "$i" -lt "$cword" ] && [ -z "$command" ]; do
    case ${words[i]} in
      --pass-file|--socket|--pass|--host|--port|--url|--user|--name|--database|--timeout|--poll|--watch|--recipient|--reencrypt|--scan) i=$((i + 1)) ;;
      -*) ;;
      *) command=${words[i]} ;;
    esac
    i=$((i + 1))
  done
  if [ -z "$command" ]; then
    case $before in --pass|--host|--port|--url|--user|--name|--database|--timeout|--poll|--watch|--recipient|--reencrypt|--scan) return ;; esac
    if [[ $word == -* ]]; then offered='--pass --pass-file --host --port --socket --url --user --name --database --timeout --poll --watch --json --lines -0 --raw --quiet --fail-nil --encrypt --decrypt --recipient --sign --require-sealed --require-signed --allow-moved --reencrypt --keys --bigkeys --latency --stat --scan --monitor --commands --version --help'
    else offered='ACL APPEND AUTH BGREWRITEAOF BGSAVE BITCOUNT BITFIELD BITFIELD_RO BITOP BITPOS BLMOVE BLMPOP BLPOP BRPOP BRPOPLPUSH BZMPOP BZPOPMAX BZPOPMIN CLIENT COMMAND CONFIG CONVERT COPY DBSIZE DEBUG DECR DECRBY DEL DELIFEQ DISCARD DUMP ECHO EXEC EXISTS EXPIRE EXPIREAT EXPIRETIME FLUSHALL FLUSHDB GET GETBIT GETDEL GETEX GETRANGE GETSET HDEL HELLO HEXISTS HFIND HGET HGETALL HINCRBY HINCRBYFLOAT HKEYS HLEN HMGET HMSET HRANDFIELD HSCAN HSET HSETNX HSTRLEN HVALS INCR INCRBY INCRBYFLOAT INFO KEYS LASTSAVE LATENCY LCS LINDEX LINSERT LLEN LMOVE LMPOP LOLWUT LPOP LPOPRPUSH LPOS LPUSH LPUSHX LRANGE LREM LSET LTRIM MEMORY MGET MODULE MONITOR MOVE MSET MSETNX MULTI OBJECT PERSIST PEXPIRE PEXPIREAT PEXPIRETIME PING PSETEX PSUBSCRIBE PTTL PUBLISH PUBSUB PUNSUBSCRIBE QUIT RANDOMKEY RENAME RENAMENX RESET RESTORE ROLE RPOP RPOPLPUSH RPUSH RPUSHX SADD SAVE SCAN SCARD SDIFF SDIFFSTORE SELECT SET SETBIT SETEX SETNX SETRANGE SHUTDOWN SINTER SINTERCARD SINTERSTORE SISMEMBER SLOWLOG SMEMBERS SMISMEMBER SMOVE SPOP SPUBLISH SRANDMEMBER SREM SSCAN SSUBSCRIBE STRLEN SUBSCRIBE SUBSTR SUNION SUNIONSTORE SUNSUBSCRIBE SWAPDB TIME TOUCH TTL TYPE UNLINK UNSUBSCRIBE UNWATCH WAIT WAITAOF WATCH ZADD ZCARD ZCOUNT ZDIFF ZDIFFSTORE ZINCRBY ZINTER ZINTERCARD ZINTERSTORE ZLEXCOUNT ZMPOP ZMSCORE ZPOPMAX ZPOPMIN ZRANDMEMBER ZRANGE ZRANGEBYLEX ZRANGEBYSCORE ZRANGESTORE ZRANK ZREM ZREMRANGEBYLEX ZREMRANGEBYRANK ZREMRANGEBYSCORE ZREVRANGE ZREVRANGEBYLEX ZREVRANGEBYSCORE ZREVRANK ZSCAN ZSCORE ZUNION ZUNIONSTORE'; fi
  elif [ "$i" -eq "$cword" ]; then
    case ${command^^} in
      ACL) offered='CAT HELP USERS WHOAMI' ;;
      CLIENT) offered='GETNAME GETREDIR HELP ID INFO KILL LIST NO-EVICT NO-TOUCH REPLY SETINFO SETNAME TRACKING TRACKINGINFO UNBLOCK UNPAUSE' ;;
      COMMAND) offered='COUNT DOCS GETKEYS GETKEYSANDFLAGS HELP INFO LIST' ;;
      CONFIG) offered='GET HELP RESETSTAT SET' ;;
      DEBUG) offered='DIGEST DIGEST-VALUE HELP OBJECT RELOAD SET-ACTIVE-EXPIRE SLEEP' ;;
      LATENCY) offered='HELP HISTORY LATEST RESET' ;;
      MEMORY) offered='DOCTOR HELP MALLOC-STATS PURGE STATS USAGE' ;;
      MODULE) offered='HELP LIST' ;;
      OBJECT) offered='ENCODING FREQ HELP IDLETIME REFCOUNT' ;;
      PUBSUB) offered='CHANNELS HELP NUMPAT NUMSUB SHARDCHANNELS SHARDNUMSUB' ;;
      SLOWLOG) offered='GET HELP LEN RESET' ;;
    esac
  fi
  case $word in
    -*) ;;
    *) word=${word^^} ;;
  esac
  _kv_offer -W "$offered"
}
complete -F _kv_client kv-client

_kv_server() {
  local words cword word before kept
  COMPREPLY=()
  _kv_words
  case $before in
    --pass-file|--unixsocket|--pipe|--dir|--config|--load|--into) compopt -o filenames; _kv_offer -f; return ;;
    --fsync) _kv_offer -W 'always everysec no'; return ;;
    --dump) _kv_offer -W 'text json resp'; return ;;
    --pass|--port|--bind|--persist|--fsync|--keep-logs|--children|--max-clients|--login-grace|--databases|--dump|--until) return ;;
  esac
  _kv_offer -W '--pass --pass-file --port --bind --unixsocket --pipe --dir --persist --binary --fsync --keep-logs --children --max-clients --login-grace --databases --plio-remote --config --verbose --check --repair --reseal --dump --load --until --into --json --version --help'
}
complete -F _kv_server kv-server
