"""Who somebody is at OpenID providers, as he links it himself while he is logged in."""

from services.auth.store import identities as kept
from services.auth.store.identities import Identity
from services.auth.usecases.oidc import answered, begin_flow
from services.auth.usecases.proofs import proven
from services.auth.usecases.ways import one_more, take_away
from services.contracts.resources import BeginIdentity, IdentityView, OidcAnswer, OidcBegun, RemoveIdentity
from services.kernel.calls import Caller, Nothing
from services.kernel.errors import Conflict, Denied
from services.kernel.service import Ports
from services.kernel.trail import say_made


async def begin_identity(ports: Ports, caller: Caller, question: BeginIdentity) -> OidcBegun:
    """Where somebody goes to show who he is at a provider, once he has shown that it is he here.

    Raises:
        Denied: he has not.
        NotFound, Invalid, Unavailable: as of a login.
    """
    begun = await begin_flow(ports, "link", question.provider, question.redirect, caller.person)
    async with proven(ports, caller, question):
        return begun


async def add_identity(ports: Ports, caller: Caller, question: OidcAnswer) -> IdentityView:
    """Let somebody log in as who he is at a provider.

    Raises:
        Unauthenticated, Unavailable: as of a login.
        Denied: somebody else began.
        Conflict: it is linked already, to whomever, or he has as many as one may have.
    """
    said = await answered(ports, "link", question)
    if said.flow.account != caller.person:
        raise Denied("somebody else began to link this")
    made = said.identity_of(caller.person)
    say_made(identity=made.id)
    async with one_more(ports, caller.person, "identity") as tx:
        if not await kept.add_identity(tx, made):
            raise Conflict("this is linked to an account already")
    return _view(made)


async def list_identities(ports: Ports, caller: Caller, question: Nothing) -> tuple[IdentityView, ...]:
    async with ports.sql.read() as view:
        return tuple(_view(each) for each in await kept.list_identities(view, caller.person))


async def remove_identity(ports: Ports, caller: Caller, question: RemoveIdentity) -> Nothing:
    """Have a provider let somebody in no more; he has shown that it is he.

    Raises:
        Denied: he has not.
        NotFound: he has no such identity.
        Conflict: he could not log in any more.
    """
    await take_away(ports, caller, question, "identity", question.identity)
    return Nothing()


def _view(identity: Identity) -> IdentityView:
    return IdentityView(
        id=identity.id, provider=identity.provider, email=identity.email, created=identity.created, used=identity.used
    )
