"""Services that a domain announces by SRV records under well-known labels (RFC 2782), asked of the recursive resolvers:
directories, mail access, telephony, chat, calendars, games. The records say host and port, often of machines that no
page names. Only the resolvers and the name servers behind them see the questions.
"""

from collections import Counter
from collections.abc import AsyncIterator, Iterator

from services.collector.archetypes.names import any_name
from services.collector.archetypes.sound import sound
from services.collector.context import Answer, Context, DnsAnswer, Unreachable
from services.collector.manifest import Manifest
from services.collector.resolve.answer import Answer as Resolution
from services.contracts import entities, relations
from services.contracts.claims import Claim, Entity
from services.contracts.subjects import Level

MANIFEST = Manifest(
    id="srv",
    version=1,
    title="SRV records",
    activity="dns",
    source="https://www.iana.org/assignments/service-names-port-numbers/service-names-port-numbers.xhtml",
    format="https://www.rfc-editor.org/rfc/rfc2782",
    consumes=("domain", "level"),
    produces=("domain", "hostname", "dns_record", "has_record", "mentions"),
    rate=0.0,
    concurrency=16,
    freshness=86_400,
    timeout=60.0,
    licence="none",
)

LABELS = (
    # Directories (MS-ADTS 6.3.2.3 among them)
    *("_ldap._tcp", "_ldaps._tcp", "_gc._tcp", "_kerberos._tcp", "_kerberos._udp", "_kpasswd._tcp", "_kpasswd._udp"),
    *("_kerberos-adm._tcp", "_kerberos-master._tcp", "_kerberos-master._udp", "_ldap._tcp.dc._msdcs", "_vlmcs._tcp"),
    *("_ldap._tcp.gc._msdcs", "_ldap._tcp.pdc._msdcs", "_kerberos._tcp.dc._msdcs", "_ldap._tcp.forestdnszones"),
    *("_ldap._tcp.domaindnszones", "_nisplus._tcp", "_ipa._tcp"),
    # Mail, calendars and contacts (RFC 6186, RFC 6764, RFC 8314)
    *("_submission._tcp", "_submissions._tcp", "_imap._tcp", "_imaps._tcp", "_pop3._tcp", "_pop3s._tcp"),
    *("_sieve._tcp", "_smtp._tcp", "_smtps._tcp", "_autodiscover._tcp", "_caldav._tcp", "_caldavs._tcp"),
    *("_carddav._tcp", "_carddavs._tcp", "_jmap._tcp"),
    # Telephony and chat (RFC 3263, RFC 6120, RFC 5766)
    *("_sip._tcp", "_sip._udp", "_sip._tls", "_sips._tcp", "_sipfederationtls._tcp", "_sipinternaltls._tcp"),
    *("_sipinternal._tcp", "_sipexternaltls._tcp", "_h323cs._tcp", "_h323cs._udp", "_h323ls._udp", "_h323rs._udp"),
    *("_xmpp-client._tcp", "_xmpp-server._tcp", "_xmpps-client._tcp", "_xmpps-server._tcp", "_jabber._tcp"),
    *("_xmpp-bosh._tcp", "_matrix._tcp", "_matrix-fed._tcp", "_matrix-identity._tcp", "_stun._tcp", "_stun._udp"),
    *("_stuns._tcp", "_turn._tcp", "_turn._udp", "_turns._tcp", "_cisco-uds._tcp", "_collab-edge._tls"),
    *("_cuplogin._tcp"),
    # Infrastructure
    *("_http._tcp", "_https._tcp", "_www._tcp", "_ftp._tcp", "_ssh._tcp", "_sftp._tcp", "_ntp._udp", "_dns-sd._udp"),
    *("_x-puppet._tcp", "_puppet._tcp", "_mongodb._tcp", "_mysql._tcp", "_postgresql._tcp", "_etcd-server._tcp"),
    *("_etcd-client._tcp", "_etcd-server-ssl._tcp", "_etcd-client-ssl._tcp", "_kafka._tcp", "_amqp._tcp"),
    *("_amqps._tcp", "_mqtt._tcp", "_nfs._tcp", "_afs3-vlserver._udp", "_rsync._tcp", "_git._tcp", "_hkp._tcp"),
    *("_hkps._tcp", "_pgpkey-https._tcp", "_crls._tcp", "_ocsp._tcp", "_certificates._tcp", "_radsec._tcp"),
    *("_radiustls._tcp", "_cisco-phone-tftp._tcp", "_ceph-mon._tcp", "_vnc._tcp", "_rdp._tcp", "_minecraft._tcp"),
    *("_ts3._udp", "_activation._tcp", "_proxy._tcp", "_wpad._tcp", "_fido._tcp", "_mta-sts._tcp", "_nats._tcp"),
    *("_consul._tcp"),
)
MAX_RECORDS = 20


async def collect(seen: Entity | Level, ctx: Context) -> AsyncIterator[Answer]:
    zone = seen.zone if isinstance(seen, Level) else seen.value
    answered = False
    async for answer in ctx.dns.sweep([f"{label}.{zone}" for label in LABELS], "SRV"):
        answered = answered or any(resolution.asked for resolution in answer.resolutions)
        yield answer
    if not answered:
        raise Unreachable(f"{zone}: none of {len(LABELS)} questions was answered")


def parse(answer: DnsAnswer, seen: Entity | Level) -> Iterator[Claim]:
    zone = any_name(seen.zone) if isinstance(seen, Level) else seen
    targets = [targets_of(resolution) for resolution in answer.resolutions]
    usual = same_everywhere(targets)
    for resolution, found in zip(answer.resolutions, targets, strict=True):
        if zone is None or not found or data_of(found) == usual:
            continue
        for ttl, data in found:
            host = any_name(data.rpartition(" ")[2])
            record = sound(entities.dns_record, resolution.name, "SRV", data)
            if record is not None:
                yield relations.has_record(zone, record, ttl=ttl)
                if host is not None:
                    yield relations.mentions(record, host)


def targets_of(resolution: Resolution) -> list[tuple[int, str]]:
    """TTL and data of the records of a service; a target of ``.`` says that there is none (RFC 2782)."""
    return [
        (record.ttl, record.data)
        for record in resolution.records[:MAX_RECORDS]
        if record.type == "SRV" and record.data.rpartition(" ")[2] not in {".", ""}
    ]


def same_everywhere(targets: list[list[tuple[int, str]]]) -> tuple[str, ...] | None:
    """What a wildcard answers for every label: the same to more than half of the questions."""
    counts = Counter(data_of(found) for found in targets)
    usual, count = counts.most_common(1)[0] if counts else ((), 0)
    return usual if usual and len(targets) > 2 and 2 * count > len(targets) else None


def data_of(found: list[tuple[int, str]]) -> tuple[str, ...]:
    return tuple(sorted(data for _, data in found))
