"""What the routes of people take and answer."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from ops_service.auth import passwords, users
from ops_service.auth.principals import Kind, Role, Scope
from ops_service.onboard.windows import Instant

UserName = Annotated[str, Field(min_length=1, max_length=64), AfterValidator(users.parse_name)]
Password = Annotated[str, Field(max_length=passwords.MAX_LENGTH)]
NewPassword = Annotated[str, Field(min_length=passwords.MIN_LENGTH, max_length=passwords.MAX_LENGTH)]
Secret = Annotated[str, Field(min_length=1, max_length=128)]
TokenName = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=64, pattern=r"^[^\x00-\x1f\x7f]+$"),
]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class SignIn(_Strict):
    """Name and password."""

    name: Annotated[str, Field(max_length=256)]
    password: Password


class PasswordChange(_Strict):
    """The present password and the new one."""

    current: Password
    new: NewPassword


class LinkSecret(_Strict):
    """What stands behind `#/welcome/` in a one-time link."""

    link: Secret


class LinkRedemption(LinkSecret):
    """Choose a password; the first operator chooses a name too."""

    password: NewPassword
    name: UserName | None = None


class LinkTarget(BaseModel):
    """Who a one-time link is for; a null name: the first operator, who chooses one."""

    name: str | None


class Me(BaseModel):
    """Who is signed in, and what they may do."""

    name: str
    kind: Kind
    scope: Scope


class UserBody(BaseModel):
    """An operator. `invited`: has not chosen a password yet."""

    id: int
    name: str
    role: Role
    state: Literal["active", "invited", "disabled"]
    sessions: int
    created_at: Instant


class UserList(BaseModel):
    """Everybody, by name."""

    users: list[UserBody]


class NewUser(_Strict):
    """Whom to invite."""

    name: UserName
    role: Role = "viewer"


class UserChange(_Strict):
    """What to change; what is left out stays."""

    role: Role | None = None
    disabled: bool | None = None


class Invitation(BaseModel):
    """A link to hand over, shown once. `path` follows the address of the desk."""

    user_id: int
    path: str
    expires_at: Instant


class TokenBody(BaseModel):
    """An API token, without what would let anyone use it."""

    id: int
    name: str
    scope: Scope
    created_at: Instant


class TokenList(BaseModel):
    """All tokens, by name."""

    tokens: list[TokenBody]


class NewToken(_Strict):
    """What to make a token for."""

    name: TokenName
    scope: Scope = "read"


class CreatedToken(BaseModel):
    """The token, shown this once."""

    token: str


class AuditLine(BaseModel):
    """Who did what, when, from where."""

    id: int
    at: Instant
    actor_kind: Kind
    actor: str | None
    address: str | None
    action: str
    subject: str | None
    detail: str | None


class AuditPage(BaseModel):
    """A page, newest first; `total` counts all pages."""

    total: int
    lines: list[AuditLine]
    next_cursor: str | None
