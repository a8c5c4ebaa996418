"""What the routes of people take and answer."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, Field

from ops_service.auth import passwords, users
from ops_service.http.parameters import Instant, PrintableName, StrictBody
from ops_service.principals import Kind, Role, Scope

UserName = Annotated[str, Field(min_length=1, max_length=64), AfterValidator(users.parse_name)]
Password = Annotated[str, Field(max_length=passwords.MAX_LENGTH)]
NewPassword = Annotated[str, Field(min_length=passwords.MIN_LENGTH, max_length=passwords.MAX_LENGTH)]
Secret = Annotated[str, Field(min_length=1, max_length=128)]


class SignIn(StrictBody):
    """Name and password."""

    name: Annotated[str, Field(max_length=256)]
    password: Password


class PasswordChange(StrictBody):
    """The present password and the new one."""

    current: Password
    new: NewPassword


class LinkSecret(StrictBody):
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


class NewUser(StrictBody):
    """Whom to invite."""

    name: UserName
    role: Role = "viewer"


class UserChange(StrictBody):
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


class NewToken(StrictBody):
    """What to make a token for."""

    name: PrintableName
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
