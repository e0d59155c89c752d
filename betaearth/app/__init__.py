"""The Streamlit app: an area, some years and options become annual embeddings, in a process beside the server."""
