#compdef kv-client kv-server
# Completion of kv-client and kv-server for zsh.
# Written by man/pages.cpp from the tables of options and commands. Do not edit.
_kv_commands() {
  local -a commands
  commands=(
    'ACL:Tells about users and categories of commands'
    'APPEND:Appends to a string, which is created if absent'
    'AUTH:Logs the connection in'
    'BGREWRITEAOF:Saves in the background and starts a new log, as BGSAVE does'
    'BGSAVE:Saves all data in the background'
    'BITCOUNT:How many bits of a string, or of a part of it, are 1'
    'BITFIELD:Reads, stores and counts numbers of any width within a string'
    'BITFIELD_RO:BITFIELD that only reads'
    'BITOP:Stores what strings give when their bits are combined; answers its length in bytes'
    'BITPOS:Where the first 1 or 0 of a string is'
    'BLMOVE:Moves an element from one end of a list to one end of another; waits for one'
    'BLMPOP:Removes and returns elements of the first of several lists that exists; waits for one'
    'BLPOP:Removes and returns the first element of the first list that exists; waits for one'
    'BRPOP:Removes and returns the last element of the first list that exists; waits for one'
    'BRPOPLPUSH:Moves the last element of a list to the head of another; waits for one'
    'BZMPOP:Removes and returns members of the first of several sorted sets that exists; waits for one'
    'BZPOPMAX:Removes and returns the highest member of the first sorted set that exists; waits for one'
    'BZPOPMIN:Removes and returns the lowest member of the first sorted set that exists; waits for one'
    'CLIENT:Lists, names, configures and closes connections'
    'COMMAND:Tells about the commands'
    'CONFIG:Shows and changes the server'\''s settings'
    'CONVERT:Switches between text and binary snapshots until the server ends, and saves in the new form'
    'COPY:Copies a value to another key'
    'DBSIZE:The number of keys in the database'
    'DEBUG:Looks inside the server, for tests'
    'DECR:Subtracts one from an integer; an absent key counts as 0'
    'DECRBY:Subtracts from an integer; an absent key counts as 0'
    'DEL:Removes keys'
    'DELIFEQ:Removes a key only if that is its value\: how to give back a lock'
    'DISCARD:Forgets what is queued and what is watched'
    'DUMP:A value in Redis'\''s serialised form'
    'ECHO:Answers the message'
    'EXEC:Carries out what is queued, as one; nothing if a watched key has changed'
    'EXISTS:How many of the keys exist; one named twice counts twice'
    'EXPIRE:Lets a key end after that many seconds'
    'EXPIREAT:Lets a key end at a time, in seconds since 1970'
    'EXPIRETIME:When a key ends, in seconds since 1970'
    'FLUSHALL:Removes all keys of all databases'
    'FLUSHDB:Removes all keys of the database'
    'GET:The value of a key'
    'GETBIT:A bit of a string'
    'GETDEL:Returns a value and removes its key'
    'GETEX:Returns a value and sets or removes its expiry'
    'GETRANGE:A part of a string, both ends included'
    'GETSET:Stores a value and returns the one it replaces'
    'HDEL:Removes fields, and the hash when none is left'
    'HELLO:Chooses RESP2 or RESP3, optionally logging in and naming the connection'
    'HEXISTS:Whether a hash has a field'
    'HFIND:The fields of a hash whose names contain a text'
    'HGET:The value of a field'
    'HGETALL:All fields and values of a hash'
    'HINCRBY:Adds to the integer in a field; an absent one counts as 0'
    'HINCRBYFLOAT:Adds to the decimal number in a field; an absent one counts as 0'
    'HKEYS:All fields of a hash'
    'HLEN:The number of fields of a hash'
    'HMGET:The values of several fields, nil for those absent'
    'HMSET:HSET with the answer OK'
    'HRANDFIELD:Fields chosen at random; a negative count may repeat them'
    'HSCAN:Some fields and values of a hash and the cursor for the next ones'
    'HSET:Stores fields of a hash, which is created if absent'
    'HSETNX:Stores a field of a hash only if it does not exist'
    'HSTRLEN:The length of a field'\''s value in bytes'
    'HVALS:All values of a hash'
    'INCR:Adds one to an integer; an absent key counts as 0'
    'INCRBY:Adds to an integer; an absent key counts as 0'
    'INCRBYFLOAT:Adds to a decimal number; an absent key counts as 0'
    'INFO:Shows the server'\''s figures'
    'KEYS:All keys that match a pattern; it walks the whole database, SCAN does so in steps'
    'LASTSAVE:The time of the last successful save, or of the start, in seconds since 1970'
    'LATENCY:Tells about delays inside the server\: none are recorded'
    'LCS:The longest common subsequence of two strings'
    'LINDEX:The element at an index; -1 is the last one'
    'LINSERT:Inserts an element beside the first one equal to pivot'
    'LLEN:The number of elements of a list'
    'LMOVE:Moves an element from one end of a list to one end of another'
    'LMPOP:Removes and returns elements of the first of several lists that exists'
    'LOLWUT:Draws a picture and tells the version'
    'LPOP:Removes and returns elements from the head of a list'
    'LPOPRPUSH:Moves the first element of a list to the tail of another'
    'LPOS:The indexes of equal elements'
    'LPUSH:Puts elements at the head of a list, which is created if absent'
    'LPUSHX:Puts elements at the head of a list only if it exists'
    'LRANGE:The elements from start to stop, both included; negative ones count from the tail'
    'LREM:Removes equal elements\: the first count, the last -count, or all if count is 0'
    'LSET:Replaces the element at an index'
    'LTRIM:Removes all elements but those from start to stop'
    'MEMORY:Tells what takes how much memory'
    'MGET:The values of several keys, nil for those without one'
    'MODULE:Tells about loaded modules\: there are none'
    'MONITOR:Shows every request from now on, but for those that log in or administer the server'
    'MOVE:Moves a key to another database'
    'MSET:Stores several values at once'
    'MSETNX:Stores several values only if none of the keys exists'
    'MULTI:Begins a transaction\: what follows is queued'
    'OBJECT:Tells how one key is kept and used'
    'PERSIST:Removes a key'\''s end'
    'PEXPIRE:Lets a key end after that many milliseconds'
    'PEXPIREAT:Lets a key end at a time, in milliseconds since 1970'
    'PEXPIRETIME:When a key ends, in milliseconds since 1970'
    'PING:Answers PONG or the message'
    'PSETEX:Stores a value that expires after that many milliseconds'
    'PSUBSCRIBE:Listens to all channels that match one of these patterns'
    'PTTL:The milliseconds a key has left; -1 if it has no end, -2 if it does not exist'
    'PUBLISH:Sends a message to all who listen to the channel, and tells how many they are'
    'PUBSUB:Tells what is listened to'
    'PUNSUBSCRIBE:Ceases to listen by these patterns, or by all'
    'QUIT:Closes the connection'
    'RANDOMKEY:A key chosen at random'
    'RENAME:Gives a key another name, replacing what has it'
    'RENAMENX:Gives a key another name only if that is free'
    'RESET:Forgets what the connection has chosen and logs it out'
    'RESTORE:Stores what DUMP has answered, here or at a Redis server'
    'ROLE:Answers the role of this server in a replication\: always master'
    'RPOP:Removes and returns elements from the tail of a list'
    'RPOPLPUSH:Moves the last element of a list to the head of another'
    'RPUSH:Puts elements at the tail of a list, which is created if absent'
    'RPUSHX:Puts elements at the tail of a list only if it exists'
    'SADD:Adds members to a set, which is created if absent'
    'SAVE:Saves all data and answers when it is on disk'
    'SCAN:Some keys and the cursor for the next ones'
    'SCARD:The number of members of a set'
    'SDIFF:The members of the first set that none of the others has'
    'SDIFFSTORE:Stores the members of the first set that none of the others has, whatever was there'
    'SELECT:Chooses the database for the commands that follow'
    'SET:Stores a value, whatever was there before'
    'SETBIT:Sets or clears a bit of a string, which is lengthened with zero bytes; answers what it was'
    'SETEX:Stores a value that expires after that many seconds'
    'SETNX:Stores a value only if the key does not exist'
    'SETRANGE:Overwrites a part of a string, padding with zero bytes'
    'SHUTDOWN:Ends the server, saving first if saving is on or SAVE says so'
    'SINTER:The members that all of the sets have'
    'SINTERCARD:How many members all of the sets have, counted up to a limit'
    'SINTERSTORE:Stores the members that all of the sets have, whatever was there'
    'SISMEMBER:Whether a set has a member'
    'SLOWLOG:Shows the requests that took long'
    'SMEMBERS:All members of a set'
    'SMISMEMBER:Whether a set has each of several members'
    'SMOVE:Moves a member from one set to another'
    'SPOP:Removes and returns members chosen at random'
    'SPUBLISH:Sends a message to all who listen to the channel of the shard'
    'SRANDMEMBER:Members chosen at random; a negative count may repeat them'
    'SREM:Removes members, and the set when none is left'
    'SSCAN:Some members of a set and the cursor for the next ones'
    'SSUBSCRIBE:Listens to channels of the shard, which is all of kv; they are others than SUBSCRIBE'\''s'
    'STRLEN:The length of a string in bytes'
    'SUBSCRIBE:Listens to channels\: what is published there comes as it comes'
    'SUBSTR:An older name of GETRANGE'
    'SUNION:The members that any of the sets has'
    'SUNIONSTORE:Stores the members that any of the sets has, whatever was there'
    'SUNSUBSCRIBE:Ceases to listen to these channels of the shard, or to all'
    'SWAPDB:Exchanges two databases'
    'TIME:Answers the server'\''s time, in seconds and microseconds since 1970'
    'TOUCH:Notes an access to keys and returns how many exist'
    'TTL:The seconds a key has left; -1 if it has no end, -2 if it does not exist'
    'TYPE:The type of a key'\''s value\: string, list, hash, set, zset or none'
    'UNLINK:Removes keys, as DEL'
    'UNSUBSCRIBE:Ceases to listen to these channels, or to all'
    'UNWATCH:Forgets what is watched'
    'WAIT:Answers how many replicas have the writes so far\: always 0'
    'WAITAOF:Forces the log to the disk if numlocal is 1; answers whether it is there, and 0 replicas'
    'WATCH:Lets the next EXEC do nothing if one of the keys changes until then'
    'ZADD:Gives members of a sorted set their scores; it is created if absent'
    'ZCARD:The number of members of a sorted set'
    'ZCOUNT:The number of members within a range of scores'
    'ZDIFF:The members of a sorted set that several others do not have'
    'ZDIFFSTORE:Stores the members of a sorted set that several others do not have'
    'ZINCRBY:Adds to the score of a member; an absent one has 0'
    'ZINTER:The members that several sorted sets have in common'
    'ZINTERCARD:The number of members that several sorted sets have in common'
    'ZINTERSTORE:Stores the members that several sorted sets have in common'
    'ZLEXCOUNT:The number of members within a range of members, where all have the same score'
    'ZMPOP:Removes and returns members of the first of several sorted sets that exists'
    'ZMSCORE:The scores of several members, nil for those absent'
    'ZPOPMAX:Removes and returns the members with the highest scores'
    'ZPOPMIN:Removes and returns the members with the lowest scores'
    'ZRANDMEMBER:Members chosen at random; a negative count may repeat them'
    'ZRANGE:Members within a range of ranks, scores or members'
    'ZRANGEBYLEX:Members within a range of members, where all have the same score'
    'ZRANGEBYSCORE:Members within a range of scores'
    'ZRANGESTORE:Stores a range of a sorted set as another one'
    'ZRANK:How many members come before one, the lowest score first'
    'ZREM:Removes members, and the sorted set when none is left'
    'ZREMRANGEBYLEX:Removes the members within a range of members, where all have the same score'
    'ZREMRANGEBYRANK:Removes the members within a range of ranks'
    'ZREMRANGEBYSCORE:Removes the members within a range of scores'
    'ZREVRANGE:Members within a range of ranks, the highest score first'
    'ZREVRANGEBYLEX:Members within a range of members, the last first, where all have the same score'
    'ZREVRANGEBYSCORE:Members within a range of scores, the highest first'
    'ZREVRANK:How many members come before one, the highest score first'
    'ZSCAN:Some members and scores of a sorted set and the cursor for the next ones'
    'ZSCORE:The score of a member'
    'ZUNION:The members of several sorted sets together'
    'ZUNIONSTORE:Stores the members of several sorted sets together'
  )
  _describe -t commands 'command' commands -M 'm:{a-z}={A-Z}'
}
_kv_words() {
  local subs=''
  case ${(U)words[1]} in
      ACL) subs='CAT HELP USERS WHOAMI' ;;
      CLIENT) subs='GETNAME GETREDIR HELP ID INFO KILL LIST NO-EVICT NO-TOUCH REPLY SETINFO SETNAME TRACKING TRACKINGINFO UNBLOCK UNPAUSE' ;;
      COMMAND) subs='COUNT DOCS GETKEYS GETKEYSANDFLAGS HELP INFO LIST' ;;
      CONFIG) subs='GET HELP RESETSTAT SET' ;;
      DEBUG) subs='DIGEST DIGEST-VALUE HELP OBJECT RELOAD SET-ACTIVE-EXPIRE SLEEP' ;;
      LATENCY) subs='HELP HISTORY LATEST RESET' ;;
      MEMORY) subs='DOCTOR HELP MALLOC-STATS PURGE STATS USAGE' ;;
      MODULE) subs='HELP LIST' ;;
      OBJECT) subs='ENCODING FREQ HELP IDLETIME REFCOUNT' ;;
      PUBSUB) subs='CHANNELS HELP NUMPAT NUMSUB SHARDCHANNELS SHARDNUMSUB' ;;
      SLOWLOG) subs='GET HELP LEN RESET' ;;
  esac
  if [[ -n $subs && $CURRENT -eq 2 ]]; then
    compadd -M 'm:{a-z}={A-Z}' -- ${=subs}
  elif [[ ${words[CURRENT-1]} == -- ]]; then _files
  fi
}
if [[ $service == kv-server ]]; then
  _arguments \
    '*--pass[password that clients must give; wiped from the process title]:PASSWORD: ' \
    '*--pass-file[read the password from FILE, which nobody else may read; --pass goes before it]:FILE:_files' \
    '*--port[TCP port to listen on; 0 picks a free one]:N: ' \
    '*--bind[address or host name to listen on; may be given several times]:ADDRESS: ' \
    '*--unixsocket[also listen on this Unix socket, for this user only]:PATH:_files' \
    '*--pipe[take one request a line from this named pipe]:PATH:_files' \
    '*--dir[folder of kv.aof and kv.db, made if it is not there]:FOLDER:_files -/' \
    '*--persist[log every write and save a snapshot this often if anything changed]:SECONDS: ' \
    '*--binary[write snapshots as kv.bin instead of kv.db]' \
    '*--fsync[when the log is forced to the disk\: always, everysec or no]:POLICY:(always everysec no)' \
    '*--keep-logs[keep this many older logs for --until]:N: ' \
    '*--children[a process a connection up to N, then shared; 0\: a process each, always]:N: ' \
    '*--max-clients[connections at a time; more are turned away with an error]:N: ' \
    '*--login-grace[hang up on who has not logged in by then; 0 waits for ever]:SECONDS: ' \
    '*--databases[numbered databases, chosen with SELECT]:N: ' \
    '*--plio-remote[take PLIO logins from other machines too, though their hash is 16 bits]' \
    '*--config[read options from FILE, as name=value lines]:FILE:_files' \
    '*--verbose[print what happens, values shortened]' \
    '*--check[read every file in --dir, change nothing, say what is found]' \
    '*--repair[write mended files in --dir and keep the old ones]' \
    '*--reseal[compute the checksums again after an edit by hand]' \
    '*--dump[write the data to standard output\: text, json or resp]:FORMAT:(text json resp)' \
    '*--load[take the data from FILE (text, json, resp, or Redis'\''s RDB or AOF) into --dir, in place of what is there, which is kept beside it]:FILE:_files' \
    '*--until[restore the state of --dir as of TIME into the new folder --into]:TIME: ' \
    '*--into[with --until\: where to; must not exist or be empty]:FOLDER:_files -/' \
    '*--json[with --check\: print the findings as JSON]' \
    '*--version[print the version and end]' \
    '*--help[print this and end; so does -h]' \
    && return 0
else
  _arguments -C \
    '*--pass[the server'\''s password; better in KV_PASS or --pass-file]:PASSWORD: ' \
    '*--pass-file[read the password from FILE, which others must not be able to read]:FILE:_files' \
    '*--host[the server'\''s name or address]:HOST: ' \
    '*--port[the server'\''s port]:PORT: ' \
    '*--socket[connect to this Unix socket instead]:PATH:_files' \
    '*--url[all of it in one\: kv\://\[\[USER\]\:PASSWORD@\]HOST\[\:PORT\]\[/DATABASE\] or unix\://PATH]:URL: ' \
    '*--user[log in as this user, where the server has several]:USER: ' \
    '*--name[the connection'\''s name in CLIENT LIST]:NAME: ' \
    '*--database[which of the numbered databases]:NUMBER: ' \
    '*--timeout[how long to wait for a reply, or to connect (else 10); 0\: for ever. What the server is told to wait (BLPOP) comes on top]:SECONDS: ' \
    '*--poll[repeat the command after a pause until its reply is nil]:SECONDS: ' \
    '*--watch[repeat the command after a pause until interrupted]:SECONDS: ' \
    '*--json[write replies as JSON, one a line]' \
    '*--lines[write each element on a line of its own]' \
    '*-0[end each element with a NUL byte]' \
    '*--raw[write the bytes of the reply, newlines between a list'\''s elements]' \
    '*--quiet[write no replies, only errors]' \
    '*--fail-nil[end with status 6 when a reply is nil]' \
    '*--encrypt[seal every value before it is sent]' \
    '*--decrypt[open every sealed element of the reply]' \
    '*--recipient[seal for this key; may be given several times]:KEY: ' \
    '*--sign[sign what is sealed]' \
    '*--require-sealed[with --decrypt\: an element that is not sealed is an error]' \
    '*--require-signed[with --decrypt\: what is not signed, or not by a key you trust, is an error]' \
    '*--allow-moved[with --decrypt\: accept a value stored under another name]' \
    '*--reencrypt[seal everything under PREFIX again for today'\''s recipients]:PREFIX: ' \
    '*--keys[say which keys would be used, and why one cannot be]' \
    '*--bigkeys[look through all keys for the largest of each type]' \
    '*--latency[measure the time of a PING, again and again]' \
    '*--stat[a line of figures about the server each second]' \
    '*--scan[list the keys that match, without stopping the server]:PATTERN: ' \
    '*--monitor[show every command the server is given, if it can]' \
    '*--commands[list the commands]' \
    '*--version[say which version this is]' \
    '*--help[say this]' \
    '1:command:_kv_commands' \
    '*::argument:_kv_words' && return 0
fi
