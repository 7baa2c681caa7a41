"""`mirage account`: who you are at a server, and by what you log in there."""

from typing import Final
from uuid import UUID

import click
from msgspec.structs import asdict

from services.cli.folder_options import GroupOnData
from services.cli.loopback import listening
from services.cli.options import Session, data_options, format_option, run_async
from services.cli.prompts import ask_for, ask_for_new_password
from services.cli.text import clean, count, instant, moment, write_json, write_table
from services.contracts.endpoints import (
    ADD_IDENTITY,
    BEGIN_AUTHENTICATOR,
    BEGIN_IDENTITY,
    CHANGE_PASSWORD,
    CHANGE_PROFILE,
    CONFIRM_AUTHENTICATOR,
    GET_PROFILE,
    GET_SECOND_FACTOR,
    LIST_IDENTITIES,
    LIST_PASSKEYS,
    OFFER_RESET,
    REMOVE_AUTHENTICATOR,
    REMOVE_IDENTITY,
    REMOVE_PASSKEY,
)
from services.contracts.resources import (
    AuthenticatorCode,
    BeginIdentity,
    ChangePassword,
    ChangeProfile,
    MadeReset,
    NewReset,
    Proof,
    RemoveIdentity,
    RemovePasskey,
    SecondFactor,
)
from services.kernel.calls import Nothing
from services.kernel.errors import Invalid

#: How many characters of what may be a code are said to be one.
LONGEST_CODE: Final = 32
#: Recovery codes that are too few.
FEW_CODES: Final = 3


@click.group("account", cls=GroupOnData)
def command() -> None:
    """Show and change who you are at a server, and by what you log in there."""


@command.command("show")
@format_option("text", "json")
@data_options
def show(session: Session, form: str) -> int:
    """Show who you are, and whether your logins need a code."""

    async def work() -> int:
        async with session.open() as hull:
            found = await hull.calls.ask(GET_PROFILE, Nothing(), session.caller)
            second = await hull.calls.ask(GET_SECOND_FACTOR, Nothing(), session.caller)
        if form == "json":
            write_json(asdict(found) | asdict(second))
            return 0
        click.echo(f"{clean(found.name)} <{clean(found.email)}>{', an operator' if found.operator else ''}")
        click.echo(_described(second))
        return 0

    return run_async(work())


def _described(second: SecondFactor) -> str:
    """Whether logins need a code, and what to do where few of those for recovery are left."""
    if not second.authenticator:
        return "Logins need no code: mirage account authenticator"
    left = f"Logins need a code of your authenticator; {count(second.recovery_codes, 'recovery code')} left"
    few = second.recovery_codes < FEW_CODES
    return f"{left} (for new ones: mirage account authenticator --remove, and set it up again)" if few else left


@command.command("call")
@click.argument("name")
@data_options
def call(session: Session, name: str) -> int:
    """Call yourself NAME."""
    found = session.ask(CHANGE_PROFILE, ChangeProfile(name))
    click.echo(f"You are called {found.name}", err=True)
    return 0


@command.command("password")
@data_options
def password(session: Session) -> int:
    """Change your password; your other sessions end."""

    async def work() -> int:
        async with session.open() as hull:
            known = await hull.calls.ask(GET_SECOND_FACTOR, Nothing(), session.caller)
            old = ask_for("Old password (nothing, where you have none)", secret=True, needed=False)
            new = ask_for_new_password()
            code = ask_for("Code of your authenticator, or a recovery code") if known.authenticator else ""
            await hull.calls.ask(CHANGE_PASSWORD, ChangePassword(old=old, new=new, code=code), session.caller)
        click.echo("The password is changed, and your other sessions have ended", err=True)
        return 0

    return run_async(work())


@command.command("authenticator")
@click.option("--remove", is_flag=True, help="Have logins need no code any more.")
@data_options
def authenticator(session: Session, *, remove: bool) -> int:
    """Have logins need a code of an authenticator (TOTP) from now on; it shows recovery codes, this once."""

    async def work() -> int:
        async with session.open() as hull:
            if remove:
                said = AuthenticatorCode(ask_for("Code, or a recovery code"))
                await hull.calls.ask(REMOVE_AUTHENTICATOR, said, session.caller)
                click.echo("Logins need no code any more", err=True)
                return 0
            begun = await hull.calls.ask(BEGIN_AUTHENTICATOR, Proof(**_proof(session)), session.caller)
            click.echo(f"Tell your authenticator: {begun.secret}\n{begun.uri}", err=True)
            confirmed = await hull.calls.ask(
                CONFIRM_AUTHENTICATOR, AuthenticatorCode(ask_for("Code that it shows")), session.caller
            )
        click.echo("Logins need a code from now on; each of these is good once instead of one:", err=True)
        for code in confirmed.codes:
            click.echo(code)
        return 0

    return run_async(work())


@command.command("passkeys")
@click.option("--remove", metavar="ID", type=click.UUID, help="Have one let nobody in any more.")
@format_option("table", "json")
@data_options
def passkeys(session: Session, form: str, remove: UUID | None) -> int:
    """List your passkeys, the newest first; a browser makes them, a terminal cannot."""
    if remove is not None:
        session.ask(REMOVE_PASSKEY, RemovePasskey(passkey=remove, **_proof(session)))
        click.echo("It lets nobody in any more; sessions go on until they are ended (mirage sessions)", err=True)
        return 0
    found = session.ask(LIST_PASSKEYS, Nothing())
    if form == "json":
        write_json(found)
        return 0
    rows = (
        (str(each.id), clean(each.name), "yes" if each.synced else "", moment(each.created), moment(each.used))
        for each in found
    )
    write_table(("id", "name", "synced", "since (UTC)", "used (UTC)"), rows, none="No passkeys.")
    return 0


@command.command("identities")
@click.option("--link", metavar="PROVIDER", help="Log in at an OpenID provider, to be let in by it from now on.")
@click.option("--remove", metavar="ID", type=click.UUID, help="Have a provider let you in no more.")
@format_option("table", "json")
@data_options
def identities(session: Session, form: str, link: str | None, remove: UUID | None) -> int:
    """List who you are at OpenID providers, by whom you are let in."""
    if link and remove:
        raise Invalid("either --link or --remove")
    if link:
        return run_async(_link(session, link))
    if remove is not None:
        session.ask(REMOVE_IDENTITY, RemoveIdentity(identity=remove, **_proof(session)))
        click.echo("That lets you in no more; sessions go on until they are ended (mirage sessions)", err=True)
        return 0
    found = session.ask(LIST_IDENTITIES, Nothing())
    if form == "json":
        write_json(found)
        return 0
    rows = ((str(each.id), each.provider, clean(each.email), moment(each.created), moment(each.used)) for each in found)
    write_table(("id", "provider", "as", "since (UTC)", "used (UTC)"), rows, none="No identities.")
    return 0


def _proof(session: Session) -> dict[str, str]:
    """What shows that it is still he who logged in."""
    session.look_at_server()
    asked = "Code of your authenticator, or a recovery code; your password, if you have no authenticator"
    said = ask_for(asked, secret=True, needed=False)
    return {"password": said, "code": said if len(said) <= LONGEST_CODE else ""}


async def _link(session: Session, provider: str) -> int:
    proof = _proof(session)
    async with session.open() as hull, listening() as loopback:
        question = BeginIdentity(provider=provider, redirect=loopback.redirect, **proof)
        begun = await hull.calls.ask(BEGIN_IDENTITY, question, session.caller)
        made = await hull.calls.ask(ADD_IDENTITY, await loopback.answer_to(begun), session.caller)
    click.echo(f"You are let in as {clean(made.email) or 'who you are'} at {made.provider} from now on", err=True)
    return 0


@command.command("reset")
@click.argument("email")
@click.option("--second-factor", is_flag=True, help="Have authenticator, passkeys and identities be forgotten, too.")
@data_options
def reset(session: Session, email: str, *, second_factor: bool) -> int:
    """Make a code by which who has EMAIL chooses another password; for the operator of this machine.

    On the data folder of `mirage up`; of a fleet, see `mirage fleet reset`.
    """
    show_reset(session.ask(OFFER_RESET, NewReset(email=email, second_factor=second_factor)))
    return 0


def show_reset(made: MadeReset) -> None:
    """Show a code by which somebody chooses another password, and what it is good for."""
    click.echo(made.code)
    click.echo(f"Good for {made.email} until {instant(made.expires)}, once: mirage login --reset", err=True)
