"""Upkeep of what is stored: checking it, making search indexes anew, taking away what nobody needs."""

from flaskmail.upkeep.checking import GRACE, Verified, check_ownerless, verify_account, verify_all
from flaskmail.upkeep.progress import Cancelled, Tell, silent
from flaskmail.upkeep.purging import purge_blobs, purge_data, purge_histories, purge_memory
from flaskmail.upkeep.reindexing import Reindexed, reindex_account, reindex_all

__all__ = [
    "GRACE",
    "Cancelled",
    "Reindexed",
    "Tell",
    "Verified",
    "check_ownerless",
    "purge_blobs",
    "purge_data",
    "purge_histories",
    "purge_memory",
    "reindex_account",
    "reindex_all",
    "silent",
    "verify_account",
    "verify_all",
]
