"""What the kernel says: processor time and memory of processes, and what machine this is.

Reads /proc only. Processor time is in seconds, memory in bytes.
"""
import contextlib
import os
import platform
import subprocess
import sys

TICK = os.sysconf('SC_CLK_TCK')


def _stat(pid):
    """The fields of /proc/PID/stat after the name, or None if it has gone."""
    try:
        with open(f'/proc/{pid}/stat', encoding='utf-8', errors='replace') as file:
            return file.read().rpartition(')')[2].split()
    except OSError:
        return None


def family(pid):
    """pid and all processes that descend from it."""
    children = {}
    for name in os.listdir('/proc'):
        if name.isdigit() and (stat := _stat(name)) is not None:
            children.setdefault(int(stat[1]), []).append(int(name))
    found, todo = [], [pid]
    while todo:
        one = todo.pop()
        found.append(one)
        todo += children.get(one, [])
    return found


def cpu_seconds(pid):
    """User and system time of pid and all that descend from it, those reaped included."""
    total = 0
    for member in family(pid):
        stat = _stat(member)
        if stat is not None:
            total += sum(int(stat[i]) for i in (11, 12, 13, 14))
    return total / TICK


def proportional_bytes(pid):
    """Resident memory of the whole family, a page that n processes share counted 1/n each."""
    total = 0
    for member in family(pid):
        try:
            with open(f'/proc/{member}/smaps_rollup', encoding='ascii') as file:
                for line in file:
                    if line.startswith('Pss:'):
                        total += int(line.split()[1]) * 1024
        except OSError:
            pass  # it has ended meanwhile
    return total


@contextlib.contextmanager
def programs_that_compute(count):
    """So many run meanwhile. Should nobody be left to end them, they end by themselves."""
    program = 'import time\nend = time.monotonic() + 600\nwhile time.monotonic() < end: pass'
    running = [subprocess.Popen([sys.executable, '-c', program]) for _ in range(count)]
    try:
        yield
    finally:
        for one in running:
            one.kill()
            one.wait()


class Stolen:
    """The processor time that this machine wanted and its host gave to others since this was made
    (steal in /proc/stat). On a machine of its own it is 0."""

    def __init__(self):
        self.before = self._times()

    @staticmethod
    def _times():
        with open('/proc/stat', encoding='ascii') as file:
            user, nice, system, _, _, irq, softirq, steal = map(int, file.readline().split()[1:9])
        return steal, user + nice + system + irq + softirq + steal

    def percent(self):
        stolen, wanted = (now - then for now, then in zip(self._times(), self.before))
        return 100 * stolen / max(1, wanted)


def load_average():
    return os.getloadavg()[0]


def _first_line(command):
    try:
        out = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
        return (out.stdout or out.stderr).strip().splitlines()[0]
    except (OSError, IndexError, subprocess.TimeoutExpired):
        return '?'


def description(kv_server):
    """Lines of name: what, for the head of the report."""
    model, memory = '?', 0
    with open('/proc/cpuinfo', encoding='utf-8') as file:
        for line in file:
            if line.startswith('model name'):
                model = line.partition(':')[2].strip()
    with open('/proc/meminfo', encoding='ascii') as file:
        memory = int(file.readline().split()[1]) / (1 << 20)
    redis = _first_line(['redis-server', '--version'])
    redis = next((word for word in redis.split() if word.startswith('v=')), redis)
    return {
        'machine': f'{os.cpu_count()} cores ({model}), {memory:.1f} GiB, a virtual machine'
                   if 'hypervisor' in open('/proc/cpuinfo', encoding='utf-8').read()
                   else f'{os.cpu_count()} cores ({model}), {memory:.1f} GiB',
        'kernel': platform.release(),
        'system': _os_name(),
        'kv': _first_line([kv_server, '--version']),
        'redis-server': redis,
        'memcached': _first_line(['memcached', '--version']),
        'load average at the start': f'{load_average():.2f}',
    }


def _os_name():
    with open('/etc/os-release', encoding='utf-8') as file:
        for line in file:
            if line.startswith('PRETTY_NAME='):
                return line.partition('=')[2].strip().strip('"')
    return '?'
