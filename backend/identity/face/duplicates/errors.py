"""Errors of the search for one face under two names."""

from backend.core.errors import DomainError


class SearchWithoutLegalBasis(DomainError):
    """The search is switched on, but policy names no legal basis."""

    code = "duplicate_search_without_legal_basis"
    status = 409
    zh = "已启用“一人两籍”检索，但未填写法律依据。请在本地政策中填写 verification.face.duplicate_search.legal_basis（文号和条款），或停用检索。"
    en = "The search for one face under two names is enabled without a legal basis. Name it in verification.face.duplicate_search.legal_basis of the local policy, or disable the search."


class CandidateAnswered(DomainError):
    """A pair is answered once."""

    code = "duplicate_candidate_answered"
    status = 409
    zh = "这一对学生已有答复，无须再答。"
    en = "This pair was answered already; you do not need to do anything."


class CandidatePicturesNotSeen(DomainError):
    """An answer counts only if the person has opened both portraits."""

    code = "duplicate_candidate_pictures_not_seen"
    status = 409
    zh = "请先打开两名学生的证件照，再作答复。"
    en = "Open the ID portraits of both students first, then answer."
