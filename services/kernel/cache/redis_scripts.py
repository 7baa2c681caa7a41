"""What a Redis server does in one step for the cache: counters and token buckets, by its own clock.

A bucket is kept as the moment at which it will be full and the one until which it gives nothing, or 0 (the generic cell
rate algorithm, as in `services.kernel.cache.memory`), in microseconds of the server's clock, for as long as either lies
ahead: a bucket that is full is as good as none.
"""

import hashlib
from typing import Final

from msgspec import Struct


class Script(Struct, frozen=True):
    """A script and the name by which a server knows it, once it has run it."""

    text: str
    digest: str


def script(text: str) -> Script:
    return Script(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


_LEVEL: Final = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local rate, burst, asked = tonumber(ARGV[1]) / 1000000, tonumber(ARGV[2]), tonumber(ARGV[3])
local full, paused = now, 0
local level = redis.call('GET', KEYS[1])
if level then
    full, paused = string.match(level, '(%S+) (%S+)')
    full, paused = tonumber(full), tonumber(paused)
end
local function keep()
    local left = math.ceil((math.max(full, paused) - now) / 1000)
    redis.call('SET', KEYS[1], string.format('%.17g %.17g', full, paused), 'PX', string.format('%.0f', left + 1000))
end
if paused <= now then
    paused = 0
    if full > now + burst / rate + 1 then -- emptier than empty: the clock was put back
        full = now + burst / rate
        keep()
    end
end
"""

#: Of a rate a second, a burst and tokens; returns the microseconds to wait. One of them is what rounding may be off.
TAKE: Final = script(
    _LEVEL
    + """
full = math.max(now, full) + asked / rate
local wait = math.max(full - now - burst / rate, paused - now)
if wait > 1 then
    return string.format('%.0f', math.ceil(wait))
end
keep()
return '0'
"""
)

#: Of a rate a second, a burst and microseconds.
EMPTY: Final = script(
    _LEVEL
    + """
paused = math.max(paused, now + asked)
full = math.max(full, paused + (burst - 1) / rate)
keep()
"""
)

#: Of an amount and milliseconds; returns the new value.
ADD: Final = script("""
local value = redis.call('INCRBY', KEYS[1], ARGV[1])
if redis.call('PTTL', KEYS[1]) == -1 then
    redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return value
""")

#: What the scripts and the adapter ask of a server: what its users must be allowed.
COMMANDS: Final = ("get", "set", "del", "incrby", "pttl", "pexpire", "time", "eval", "evalsha", "ping")
