"""The four tools (classify, extract, summarize, chat) and the pipeline that runs them."""
