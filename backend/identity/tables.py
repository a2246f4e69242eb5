"""Tables of identity: accounts, device keys, registrations, and face data. Those of sign-in are in `sign_in/`."""

from backend.identity.account_tables import Account, AuthenticatorReset, AuthenticatorResetDecision
from backend.identity.device_tables import DeviceKey, DpopProof, PhoneChange, Registration
from backend.identity.face_tables import (
    FaceEnrolment,
    FacePopulation,
    FaceReplacementAnswer,
    FaceTemplateRecord,
    NonFaceRoute,
    SchoolTemplateKey,
    SelfieRecord,
    TemplateKey,
)
from backend.identity.portrait_tables import PictureFingerprint, Portrait, SharedPicture

__all__ = [
    "Account",
    "AuthenticatorReset",
    "AuthenticatorResetDecision",
    "DeviceKey",
    "DpopProof",
    "FaceEnrolment",
    "FacePopulation",
    "FaceReplacementAnswer",
    "FaceTemplateRecord",
    "NonFaceRoute",
    "PhoneChange",
    "PictureFingerprint",
    "Portrait",
    "Registration",
    "SchoolTemplateKey",
    "SelfieRecord",
    "SharedPicture",
    "TemplateKey",
]
