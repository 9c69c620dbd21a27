"""What shall be true: the rows of one or more NATS systems."""

from accounts_app.models.account import Account, Role, SubjectPermission
from accounts_app.models.audit import AuditEntry, AuditError, record
from accounts_app.models.jetstream import ASSET_MODELS, Asset, Consumer, Stream
from accounts_app.models.sharing import Export, ExportAccess, Import, Kind, Mapping, MappingDestination
from accounts_app.models.system import Server, System
from accounts_app.models.token import Answer, Token
from accounts_app.models.user import NatsUser

CONFIG_MODELS = (
    System,
    Account,
    Role,
    NatsUser,
    SubjectPermission,
    Export,
    ExportAccess,
    Import,
    Mapping,
    MappingDestination,
)

__all__ = [
    "ASSET_MODELS",
    "CONFIG_MODELS",
    "Account",
    "Answer",
    "Asset",
    "AuditEntry",
    "AuditError",
    "Consumer",
    "Export",
    "ExportAccess",
    "Import",
    "Kind",
    "Mapping",
    "MappingDestination",
    "NatsUser",
    "Role",
    "Server",
    "Stream",
    "SubjectPermission",
    "System",
    "Token",
    "record",
]
