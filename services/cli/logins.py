"""How somebody logs in at a server: by what he has, for which a prompt or standard input is asked."""

from collections.abc import Awaitable, Callable
from typing import Final, Literal

import click
from msgspec.structs import replace

from services.cli.loopback import listening
from services.cli.prompts import ask_for, ask_for_new_password, check_code, of_form
from services.cli.remote import RemoteCalls
from services.cli.text import clean
from services.contracts.endpoints import (
    BEGIN_OIDC,
    CREATE_ACCOUNT,
    CREATE_FIRST_ACCOUNT,
    FINISH_OIDC,
    LOG_IN,
    OPEN_INVITATION,
    RESET_PASSWORD,
)
from services.contracts.resources import (
    BeginOidc,
    FirstAccount,
    InvitationCode,
    LoggedIn,
    LogIn,
    LoginStep,
    NewAccount,
    OidcLogin,
    Reset,
)
from services.contracts.resources.users import Email, Title
from services.kernel.calls import Caller
from services.kernel.errors import Invalid
from services.kernel.messages import EVERYWHERE

#: What somebody has, to log in by: a code of an operator or of an invitation, or a password.
Way = Literal["first", "invited", "reset", "usual"]
NOBODY: Final = Caller(EVERYWHERE, "nobody")
_SECOND: Final = "Code of your authenticator, or a recovery code"


async def log_in_first(calls: RemoteCalls, workspace: str, device: str) -> LoggedIn:
    code, email = ask_for("Code", check=check_code), ask_for("Email", check=of_form(Email))
    name = ask_for("Name", check=of_form(Title))
    password = ask_for_new_password(email, name)
    question = FirstAccount(code=code, email=email, name=name, password=password, device=device)
    return await calls.ask(CREATE_FIRST_ACCOUNT, question, NOBODY)


async def log_in_invited(calls: RemoteCalls, workspace: str, device: str) -> LoggedIn:
    code, email = await _invitation(calls)
    name = ask_for("Name", check=of_form(Title))
    question = NewAccount(code=code, name=name, password=ask_for_new_password(email, name), device=device)
    return await calls.ask(CREATE_ACCOUNT, question, NOBODY)


async def log_in_again(calls: RemoteCalls, workspace: str, device: str) -> LoggedIn:
    """With another password, by a code of the operator."""
    code = ask_for("Code of the operator", check=check_code)
    question = Reset(reset=code, password=ask_for_new_password(), device=device)
    step = await calls.ask(RESET_PASSWORD, question, NOBODY)
    if step.needs == "code":
        step = await calls.ask(RESET_PASSWORD, replace(question, code=ask_for(_SECOND)), NOBODY)
    return _begun(step)


async def log_in_as_usual(calls: RemoteCalls, workspace: str, device: str) -> LoggedIn:
    email, password = ask_for("Email"), ask_for("Password", secret=True)
    question = LogIn(email=email, password=password, workspace=workspace, device=device)
    step = await calls.ask(LOG_IN, question, NOBODY)
    if step.needs == "code":
        step = await calls.ask(LOG_IN, replace(question, code=ask_for(_SECOND)), NOBODY)
    return _begun(step)


WAYS: Final[dict[Way, Callable[[RemoteCalls, str, str], Awaitable[LoggedIn]]]] = {
    "first": log_in_first,
    "invited": log_in_invited,
    "reset": log_in_again,
    "usual": log_in_as_usual,
}


async def log_in_at_provider(calls: RemoteCalls, name: str, workspace: str, device: str, *, invited: bool) -> LoggedIn:
    """At an OpenID provider; who is ``invited`` gets an account by that."""
    invitation, _ = await _invitation(calls) if invited else ("", "")
    async with listening() as loopback:
        begun = await calls.ask(BEGIN_OIDC, BeginOidc(provider=name, redirect=loopback.redirect), NOBODY)
        said = await loopback.answer_to(begun)
    question = OidcLogin(
        begun=said.begun, state=said.state, code=said.code, iss=said.iss, invitation=invitation, workspace=workspace,
        device=device,
    )  # fmt: skip
    step = await calls.ask(FINISH_OIDC, question, NOBODY)
    if step.needs == "code":
        step = await calls.ask(FINISH_OIDC, replace(question, second=ask_for(_SECOND)), NOBODY)
    return _begun(step)


async def _invitation(calls: RemoteCalls) -> tuple[str, str]:
    """The code of an invitation, and the address that was invited, once it was shown what that is."""
    code = ask_for("Code", check=check_code)
    invited = await calls.ask(OPEN_INVITATION, InvitationCode(code), NOBODY)
    who, what = clean(invited.by), clean(invited.title)
    click.echo(f"{who} invites {clean(invited.email)} to {what}, as {invited.role}", err=True)
    return code, invited.email


def _begun(step: LoginStep) -> LoggedIn:
    if step.session is None:
        raise Invalid(f"this login needs a {step.needs}")
    return step.session
