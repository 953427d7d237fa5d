"""Trains LoRA adapters: checks chat data, trains in a process of its own, lets both sides speak.

Nothing here imports torch before it trains; checking data needs no more than a tokenizer's file.
"""
